"""Downloads an archive with curl, checks it and unpacks it; goes on where a cut connection stopped.

What comes is safe against being cut off anywhere: a tree appears whole, under its hash, or not at all.
"""

import glob
import hashlib
import os
import re
import shutil
import subprocess
import time
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from provisioning.templates.git_client import run, shown
else:
    from git_client import run, shown

ATTEMPTS = 6
"""Attempts without progress before a source is given up."""
ATTEMPTS_BEFORE_OTHERS = 3
"""As `ATTEMPTS`, where there is another source: one that does not answer may take two minutes each time."""


class Unavailable(Exception):  # noqa: N818 - it says how it went with one source, and the next one is tried
    """A source that cannot be had; its words say why."""


def say(text: str) -> None:
    """Print one line of progress."""
    print(text, flush=True)


def unpacked(url: str, sha256: str, folder: str, what: str, attempts: int = ATTEMPTS) -> tuple[str, str]:
    """Download an archive, unless its tree is there already, and unpack it."""
    name = os.path.basename(urlsplit(url).path)
    # Of two servers' files of one name neither continues the other, nor stands in for it.
    archive = os.path.join(folder, f"{hashlib.sha256(shown(url).encode()).hexdigest()[:8]}-{name}")
    known, target, state = f"{archive}.sha256", f"{archive}.tree", state_of_file(url)
    if os.path.exists(known):
        with open(known) as file:
            digest, had = (file.read() + "\n").split("\n")[:2]
        if sha256 in ("", digest) and state in ("", had):
            return only_folder(target), f"sha256:{digest}"
    os.makedirs(folder, exist_ok=True)
    download(url, archive, what, attempts)
    digest = sha256_of(archive)
    if sha256 and digest != sha256:
        os.unlink(archive)
        raise Unavailable(f"{name} has SHA-256 {digest}, and {sha256} is right")
    # The mark goes before what it stands for.
    if os.path.exists(known):
        os.unlink(known)
    shutil.rmtree(target, ignore_errors=True)
    os.makedirs(target)
    done = run(["tar", "-xf", archive, "-C", target])
    os.unlink(archive)
    if done.returncode:
        raise Unavailable(f"{name} cannot be unpacked: {done.stderr.strip().partition(chr(10))[0]}")
    with open(known, "w") as file:
        file.write(f"{digest}\n{state}")
    return only_folder(target), f"sha256:{digest}"


def state_of_file(url: str) -> str:
    """Size and time of a file of this host, which may be replaced under its name; "" of all others."""
    path = unquote(urlsplit(url).path)
    if urlsplit(url).scheme != "file" or not os.path.exists(path):
        return ""
    found = os.stat(path)
    return f"{found.st_size} {found.st_mtime_ns}"


def only_folder(folder: str) -> str:
    """The one folder that an archive held."""
    inner = glob.glob(os.path.join(glob.escape(folder), "*", ""))
    return inner[0].rstrip("/") if len(inner) == 1 else folder


def download(url: str, path: str, what: str, attempts: int) -> None:
    """Download with curl, and go on where a cut connection stopped. Raises `Unavailable`."""
    if urlsplit(url).scheme == "file":
        try:
            shutil.copyfile(unquote(urlsplit(url).path), path)
        except OSError as error:
            raise Unavailable(str(error.strerror)) from error
        return
    part, failures = f"{path}.part", 0
    say(f"{what}: downloading {os.path.basename(urlsplit(url).path)}")
    while True:
        before = size(part)
        code, words = curl(url, part)
        if code == 0:
            os.rename(part, path)
            return
        if code in (33, 36) or "416" in words:  # the server does not go on where we stopped
            open(part, "wb").close()
        elif re.search(r"error: 4(?!08|29)\d\d", words):
            raise Unavailable(words)
        failures = 0 if size(part) > before else failures + 1
        if failures >= attempts:
            raise Unavailable(words)
        say(f"{what}: {words}; going on at {size(part) / 1e6:.1f} MB")
        time.sleep(min(2**failures, 30))


def curl(url: str, part: str) -> tuple[int, str]:
    """One attempt. The URL goes through standard input: it may hold a password, and a command line shows it."""
    command = ["curl", "-q", "-fsSL", "--connect-timeout", "15", "--speed-limit", "1", "--speed-time", "60"]
    if os.environ.get("SSL_CERT_FILE"):
        command += ["--cacert", os.environ["SSL_CERT_FILE"]]
    quoted = url.replace("\\", "\\\\").replace('"', '\\"')
    done = run([*command, "-C", "-", "-o", part, "-K", "-"], text=f'url = "{quoted}"\n')
    return done.returncode, last_line(done)


def sha256_of(path: str) -> str:
    """A file's SHA-256."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def size(path: str) -> int:
    """Bytes of a file, 0 where there is none."""
    return os.path.getsize(path) if os.path.exists(path) else 0


def last_line(done: "subprocess.CompletedProcess[str]") -> str:
    """What a command said last."""
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return lines[-1].strip() if lines else f"exit {done.returncode}"
