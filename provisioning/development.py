"""The project's own tests and checks."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from invoke.context import Context

from provisioning.errors import CommandError, ConfigurationError, ExitCode
from provisioning.spelling import did_you_mean

PROJECT = Path(__file__).resolve().parent.parent


def test(ctx: Context, *, full: bool, select: str, path: str) -> ExitCode:
    """Run pytest, two tests side by side; the marked long tests only with `full`."""
    command = [sys.executable, "-m", "pytest", "--numprocesses", "2", *([path] if path else [])]
    command += ["-m", "full or not full" if full else "not full"]
    command += ["-k", select] if select else []
    return ExitCode.FAILED if _run(ctx, "test", [command]) else ExitCode.OK


def bench(ctx: Context, name: str, options: str) -> ExitCode:
    """Run a benchmark with its options. Raises `ConfigurationError` for a name that is none's."""
    known = sorted(program.parent.name for program in PROJECT.glob("benchmarks/*/benchmark.py"))
    if name not in known:
        raise ConfigurationError(f'no benchmark is called "{name}"', remedy=did_you_mean(name, known))
    command = [sys.executable, "-m", f"benchmarks.{name}.benchmark", *shlex.split(options)]
    return ExitCode.FAILED if _run(ctx, "test", [command]) else ExitCode.OK


def lint(ctx: Context) -> ExitCode:
    """Run every check, also after one has failed."""
    scripts = [PROJECT / "run", PROJECT / ".ci" / "run", *sorted((PROJECT / "scripts").glob("*.sh"))]
    tool = Path(sys.executable).parent
    checks: tuple[list[str | Path], ...] = (
        [tool / "ruff", "check", "."],
        [tool / "ruff", "format", "--check", "."],
        [tool / "mypy"],
        [tool / "shellcheck", *scripts],
    )
    failed = _run(ctx, "lint", checks)
    if not ctx.config.run.dry:
        from provisioning.auditing import audit

        failed += [] if audit() else ["pip-audit"]
    if failed:
        raise CommandError(f"these found something: {', '.join(failed)}")
    return ExitCode.OK


def _run(ctx: Context, extra: str, commands: Sequence[Sequence[str | Path]]) -> list[str]:
    """Run commands that an extra brings, and name those that failed; with Invoke's --dry, only say what would run."""
    if ctx.config.run.dry:
        if not _is_installed(extra):
            print(f"would install the packages of the extra {extra!r}")
        for command in commands:
            print(f"would run {shlex.join(map(str, command))}")
        return []
    _install(extra)
    return [Path(each[0]).name for each in commands if subprocess.run(each, cwd=PROJECT, check=False).returncode]


def _stamp(extra: str) -> tuple[Path, str]:
    """The file that says for which pins an extra was installed, and what it should hold."""
    wanted = (PROJECT / "pyproject.toml").read_text() + (PROJECT / "constraints.txt").read_text()
    return Path(sys.prefix) / f".{extra}", wanted


def _is_installed(extra: str) -> bool:
    stamp, wanted = _stamp(extra)
    return stamp.exists() and stamp.read_text() == wanted


def _install(extra: str) -> None:
    """Install an optional group of dependencies once, and again when the pins change."""
    if _is_installed(extra):
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
    stamp, wanted = _stamp(extra)
    stamp.write_text(wanted)
