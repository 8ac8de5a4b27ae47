"""What dpkg's and the compilers' words mean, and what is said of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from provisioning.resources import Account, DefaultCompiler, Packages
from provisioning.resources.apt_mirror import AptMirror
from provisioning.resources.packages import INTERRUPTED

WANTED = Packages(("git", "g++-12", "libc6:amd64"))


@pytest.mark.parametrize(
    ("actual", "missing"),
    [
        ("git installed\ng++-12 installed\nlibc6 installed\n", ""),
        ("git installed\nlibc6 installed\n", "g++-12"),
        ("", "git g++-12 libc6:amd64"),
        ("git config-files\ng++-12 half-configured\nlibc6 installed\n", "git g++-12"),
        ("git unpacked\ng++-12 installed\nlibc6 triggers-pending\n", "git libc6:amd64"),
        ("git-lfs installed\ng++-12 installed\nlibc6 installed\n", "git"),
        ("libc6 installed\nlibc6 installed\ngit installed\ng++-12 installed\n", ""),
    ],
)
def test_only_what_is_fully_installed_counts(actual: str, missing: str) -> None:
    difference = WANTED.diff(actual)
    assert (difference.text if difference else "") == (f"install {missing}" if missing else "")


def test_a_journal_that_nobody_works_on_is_finished() -> None:
    installed = "git installed\ng++-12 installed\nlibc6 installed\n"
    difference = WANTED.diff(f"{installed}{INTERRUPTED}\n")
    assert difference
    assert difference.text == "finish an interrupted dpkg"


@pytest.mark.parametrize("status", [0, 1, 2])
def test_an_unknown_name_is_an_answer_and_a_failure_is_not(status: int, tmp_path: Path) -> None:
    (tmp_path / "dpkg-query").write_text(f"#!/bin/sh\nexit {status}\n")
    (tmp_path / "dpkg-query").chmod(0o755)
    done = subprocess.run(["/bin/sh", "-c", WANTED.probe()], env={"PATH": str(tmp_path)}, check=False)
    assert done.returncode == (1 if status == 2 else 0)


@pytest.mark.parametrize(
    ("words", "differs"),
    [
        ("gcc 12.2.0\ng++ 12.2.0\n/etc/alternatives/gcc\n/etc/alternatives/g++\n", ""),
        ("gcc 12.2.0\ng++ 11.4.0\n", "gcc 12.2.0, g++ 11.4.0"),
        ("gcc 12.2.0\ng++ 12.3.0\n", "gcc 12.2.0, g++ 12.3.0"),
        ("gcc 14.2.0\ng++ 14.2.0\n", "gcc 14.2.0, g++ 14.2.0"),
        ("gcc none\ng++ none\nnone\nnone\n", "gcc none, g++ none"),
        ("gcc 12.2.0\ng++ none\n", "gcc 12.2.0, g++ none"),
    ],
)
def test_compilers_count_by_their_own_words(words: str, differs: str) -> None:
    """An old g++ beside a new gcc is what https://github.com/vllm-project/vllm/issues/1028 met."""
    difference = DefaultCompiler(12).diff(words)
    assert differs in (difference.text if difference else "")
    assert (difference is None) == (not differs)


def test_an_account_that_exists_is_left_alone() -> None:
    account = Account("vllm", "/var/lib/vllm")
    assert account.diff("absent\n")
    assert account.diff("vllm:x:999:999::/elsewhere:/bin/sh\n") is None
    assert account.undo("vllm:x:999:999::/elsewhere:/bin/sh\n") == ""
    assert "userdel vllm" in account.undo("absent\n")


SOURCES = (
    "/etc/apt/sources.list http://deb.debian.org/debian\n/etc/apt/sources.list https://security.debian.org/x\n"
    "/etc/apt/sources.list.d/ubuntu.sources http://cn.archive.ubuntu.com/ubuntu/\n"
    "/etc/apt/sources.list https://download.docker.com/linux/debian\n"
)


def test_only_the_distributions_own_archives_are_replaced() -> None:
    difference = AptMirror("tuna").diff(SOURCES)
    assert difference
    assert difference.text.count("→ http://mirrors.tuna.tsinghua.edu.cn/") == 3
    assert "docker" not in difference.text
    done = SOURCES.replace("https://security.debian.org", "http://mirrors.tuna.tsinghua.edu.cn")
    for name in ("http://deb.debian.org", "http://cn.archive.ubuntu.com"):
        done = done.replace(name, "http://mirrors.tuna.tsinghua.edu.cn")
    assert AptMirror("tuna").diff(done) is None
    assert AptMirror("http://mirrors.tuna.tsinghua.edu.cn/").diff(done) is None


@pytest.mark.parametrize(
    ("actual", "words"),
    [
        ("absent\n", "create vllm, home /var/lib/vllm"),
        ("vllm:x:999:999::/var/lib/vllm:/usr/sbin/nologin\n", ""),
        ("vllm:x:999:999::/var/lib/vllm:/usr/sbin/nologin\nhomeless\n", "make /var/lib/vllm, the home of vllm"),
    ],
)
def test_an_account_that_was_made_by_half_is_finished(actual: str, words: str) -> None:
    difference = Account("vllm", "/var/lib/vllm").diff(actual)
    assert (difference.text if difference else "") == words


@pytest.mark.parametrize(("home", "found"), [("/var/lib/nobody", "homeless"), ("/nonexistent", "")])
def test_only_the_home_that_we_would_have_made_is_missed(home: str, found: str) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", Account("nobody", home).probe()], capture_output=True, text=True, check=True
    )
    assert "".join(done.stdout.splitlines()[1:]) == found
