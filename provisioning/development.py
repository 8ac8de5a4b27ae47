"""The project's own tests and checks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from provisioning.errors import CommandError, ExitCode

PROJECT = Path(__file__).resolve().parent.parent


def test(*, full: bool, select: str, path: str) -> ExitCode:
    """Run pytest; the marked long tests only with `full`."""
    _install("test")
    command = [sys.executable, "-m", "pytest", *([path] if path else [])]
    command += ["-m", "full or not full" if full else "not full"]
    command += ["-k", select] if select else []
    return ExitCode.FAILED if subprocess.run(command, cwd=PROJECT, check=False).returncode else ExitCode.OK


def lint() -> ExitCode:
    """Run every check, also after one has failed."""
    _install("lint")
    scripts = [PROJECT / "run", PROJECT / ".ci" / "run", *sorted((PROJECT / "scripts").glob("*.sh"))]
    tool = Path(sys.executable).parent
    checks: tuple[list[str | Path], ...] = (
        [tool / "ruff", "check", "."],
        [tool / "ruff", "format", "--check", "."],
        [tool / "mypy"],
        [tool / "shellcheck", *scripts],
    )
    failed = [Path(check[0]).name for check in checks if subprocess.run(check, cwd=PROJECT, check=False).returncode]
    if failed:
        raise CommandError(f"these found something: {', '.join(failed)}")
    return ExitCode.OK


def _install(extra: str) -> None:
    """Install an optional group of dependencies once, and again when the pins change."""
    stamp = Path(sys.prefix) / f".{extra}"
    wanted = (PROJECT / "pyproject.toml").read_text() + (PROJECT / "constraints.txt").read_text()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    pip = [sys.executable, "-m", "pip"]
    if subprocess.run([*pip, "--version"], capture_output=True, check=False).returncode:
        # An environment that was made without pip (see ./run): the system's fills it.
        pip = ["/usr/bin/python3", "-m", "pip", "--python", sys.executable]
    options = ["-qq", "--disable-pip-version-check", "--constraint", str(PROJECT / "constraints.txt")]
    if subprocess.run([*pip, "install", *options, "--editable", f"{PROJECT}[{extra}]"], check=False).returncode:
        raise CommandError(
            f"the packages of the extra {extra!r} could not be installed",
            remedy="Behind a slow or filtered network name a mirror: export PIP_INDEX_URL=…",
        )
    stamp.write_text(wanted)
