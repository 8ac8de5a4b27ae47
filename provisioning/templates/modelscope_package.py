"""ModelScope's package in an environment of its own: its SDK and its command line, and what their failures mean."""

import errno
import fcntl
import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from provisioning.templates.download_retry import persevering
    from provisioning.templates.download_sources import Transient, Unavailable, say
    from provisioning.templates.git_client import TIED, shown
else:
    from download_retry import persevering
    from download_sources import Transient, Unavailable, say
    from git_client import TIED, shown

PACKAGES = ("modelscope==1.40.2", "modelscope-hub==0.5.1")
"""The package, and the one that does its work."""
CACHE = "~/.cache/vllm-provisioning/modelscope"
"""Environment, locks and settings of the package, in the account's home."""
LASTING = re.compile(r"\[E(?:2020|300[12]|302[01])\]|\[Errno (?:13|30)\]")
"""What another attempt would not mend: https://github.com/modelscope/modelscope_hub, errors.py; after E2020 (wrong
bytes) the package has tried three times. Errors 13 and 30: the folder may not be written to."""
FULL = {"No space left on device": errno.ENOSPC, "Disk quota exceeded": errno.EDQUOT}


def run(program: str, arguments: list[str], endpoint: str, token: str, text: str = "") -> None:
    """Run a program of the environment. Raises `Transient`, `Unavailable`, or OSError where the disk is full."""
    cache = os.path.expanduser(CACHE)
    variables = {
        "MODELSCOPE_ENDPOINT": endpoint,
        # Also where there is none: it is then not that of whoever logged in on this host.
        "MODELSCOPE_API_TOKEN": token,
        "MODELSCOPE_CACHE": cache,
        "MODELSCOPE_HOME": os.path.join(cache, "home"),
        # By default a file that takes more than an hour has failed.
        "MODELSCOPE_DOWNLOAD_TOTAL_TIMEOUT": str(30 * 24 * 3600),
        "MODELSCOPE_NO_DEPRECATION_WARNINGS": "1",
        "TQDM_DISABLE": "1",
    }
    command = [*TIED, os.path.join(environment(), "bin", program), *arguments]
    done = _run(command, text, **variables)
    if done.returncode:
        raise failure(f"{done.stdout}\n{done.stderr}")


def failure(words: str) -> Exception:
    """What the words of a failed download mean."""
    for full, number in FULL.items():
        if full in words:
            return OSError(number, full)
    lines = [shown(line.strip()) for line in words.splitlines() if line.strip()]
    for line in lines:
        if LASTING.search(line):
            return Unavailable(line)
    told = [line for line in lines if re.search(r"\[E\d{4}\]|\w+Error\b", line)]
    return Transient((told or lines or ["the package failed without a word"])[-1])


def environment() -> str:
    """The folder of the virtual environment, made where it is missing. Raises `Unavailable`."""
    folder = os.path.join(os.path.expanduser(CACHE), PACKAGES[0].replace("==", "-"))
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_ready(folder):
            say(f"installing {PACKAGES[0]} into {folder}")
            persevering(PACKAGES[0], lambda: 0)(_make, folder)
            with open(f"{folder}.made-for", "w") as file:
                file.write(made_for())
    return folder


def made_for() -> str:
    """What an environment depends on: the packages, and the Python that it borrows from."""
    return f"{' '.join(PACKAGES)} {sys.base_prefix} {sys.version_info[:2]}\n"


def _is_ready(folder: str) -> bool:
    try:
        with open(f"{folder}.made-for") as file:
            return file.read() == made_for() and os.access(os.path.join(folder, "bin/python"), os.X_OK)
    except FileNotFoundError:
        return False


def _make(folder: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    python = os.path.join(folder, "bin/python")
    for command in (["venv", "-q", "--python", sys.executable, folder], ["pip", "install", "-q", "--python", python]):
        done = _run(["uv", *command, *(PACKAGES if command[0] == "pip" else ())])
        if done.returncode:
            words = " ".join(shown(done.stderr).split())
            for full, number in FULL.items():
                if full in words:
                    raise OSError(number, full)
            lasting = "No solution found" in words or "not found in the package registry" in words
            raise (Unavailable if lasting else Transient)(f"{PACKAGES[0]} cannot be installed: {words}")


def _run(command: list[str], text: str = "", **variables: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "LC_ALL": "C.UTF-8", **variables}
    try:
        return subprocess.run(
            command, input=text, env=environment, capture_output=True, text=True, errors="replace", check=False
        )
    except FileNotFoundError as error:
        raise Unavailable(f"{error.filename} is not installed on this host") from error
