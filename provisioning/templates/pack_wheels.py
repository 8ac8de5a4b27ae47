"""Takes pins from standard input, deletes the wheels of a folder that are none of them, and prints those it lacks."""

import re
import sys
from pathlib import Path


def key(name: str, version: str) -> "tuple[str, str]":
    """Name and version, however they are written: https://packaging.python.org/en/latest/specifications/"""
    return re.sub(r"[-_.]+", "-", name).lower(), version.lower()


def main(folder: Path, pins: "list[str]") -> None:
    """Do it."""
    wanted = {key(*pin.split("==", 1)): pin for pin in pins}
    there = {key(*wheel.name.split("-")[:2]): wheel for wheel in folder.glob("*.whl")}
    for found in there.keys() - wanted.keys():
        there[found].unlink()
    for missing in wanted.keys() - there.keys():
        print(wanted[missing])


if __name__ == "__main__":
    main(Path(sys.argv[1]), [line.strip() for line in sys.stdin if "==" in line])
