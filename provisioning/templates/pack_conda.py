"""Lays the packages of a conda environment into a folder, as a channel has them, with the list that makes it again.

    pack_conda.py FOLDER LIST INFO

LIST is what `conda list --explicit` has printed, and INFO what `conda info --json` has. What conda's caches have is
taken from there. Of the others the hash (`-` where it is not known), the path and the URL are printed.
"""

import hashlib
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

EXPLICIT = "explicit.txt"
"""Paths in the folder with their hashes, behind a line @EXPLICIT: see `conda create --file`."""
LINE = re.compile(r"(\S+/([^/\s#]+)/([^/\s#]+\.(?:conda|tar\.bz2)))(?:#([0-9a-f]+))?")


class Package(NamedTuple):
    """A file of a channel: CHANNEL/SUBDIR/FILE. The hash is an MD5 if it has 32 digits, else a SHA-256."""

    path: str
    url: str
    hash: str


def packages(listed: str) -> "list[Package]":
    """Read the list. Raises ValueError for a package that cannot be had again."""
    found = []
    for line in listed.splitlines():
        if line.startswith("# no URL for: "):
            raise ValueError(f"conda does not know where this package came from: {line.partition(': ')[2]}")
        if line.startswith(("#", "@")) or not line.strip():
            continue
        match = LINE.fullmatch(line.strip())
        if not match:
            raise ValueError(f"this is no package of conda: {line}")
        url, subdir, file, digest = match.groups()
        found.append(Package(f"{subdir}/{unquote(file)}", url, digest or ""))
    return found


def is_right(file: Path, wanted: str) -> bool:
    """Whether a file is there and has this hash, if one is known."""
    if not file.is_file() or not wanted:
        return file.is_file()
    found = hashlib.new("md5" if len(wanted) == 32 else "sha256")
    with file.open("rb") as opened:
        while block := opened.read(1 << 20):
            found.update(block)
    return found.hexdigest() == wanted


def take(package: Package, target: Path, caches: "list[Path]") -> bool:
    """Whether it is in the folder now; from a cache it comes as a hard link, if that can be."""
    if is_right(target, package.hash):
        return True
    target.unlink(missing_ok=True)
    source = next((cache / target.name for cache in caches if is_right(cache / target.name, package.hash)), None)
    if source is None:
        return False
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
    return True


def main(folder: Path, listed: str, caches: "list[Path]") -> "list[Package]":
    """Do it; give those that no cache has."""
    wanted = packages(listed)
    kept = {f"{package.path}{end}" for package in wanted for end in ("", ".part")}
    for file in folder.rglob("*"):
        if file.is_file() and str(file.relative_to(folder)) not in kept:
            file.unlink()
    for package in wanted:
        (folder / package.path).parent.mkdir(exist_ok=True)
    missing = [package for package in wanted if not take(package, folder / package.path, caches)]
    lines = [f"{package.path}#{package.hash}" if package.hash else package.path for package in wanted]
    (folder / EXPLICIT).write_text("\n".join(["@EXPLICIT", *lines, ""]))
    return missing


if __name__ == "__main__":
    caches = [Path(cache) for cache in json.loads(Path(sys.argv[3]).read_text())["pkgs_dirs"]]
    try:
        lacking = main(Path(sys.argv[1]), Path(sys.argv[2]).read_text(), caches)
    except ValueError as error:
        sys.exit(str(error))
    for each in lacking:
        print(each.hash or "-", each.path, each.url)
