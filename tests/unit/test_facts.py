"""What the host's words mean."""

from __future__ import annotations

import os
import platform
import pwd
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from provisioning.facts import _parse, gather
from provisioning.gpus import Gpu
from provisioning.host import Host, quote
from provisioning.shell_reading import HOME_OF, PYTHON_VERSION, show
from provisioning.transport.base import Completed
from provisioning.transport.local import LocalTransport

WORDS = {
    "user": "uid=0(root) gid=0(root) groups=0(root),4(adm)\n/root\n",
    "account": "vllm\nvllm:x:999:998:,,,:/srv/a home:/usr/sbin/nologin\nserving\n",
    "folders": "conda\n/srv/m\tkey of it\n",
    "os": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nID=debian\n',
    "machine": "6.1.0-18-amd64 x86_64\n2\nflags\t\t: fpu avx2 avx512_bf16\n",
    "topology": "# CPU,Core,Socket,Node\n0,0,0,0\n1,0,,\n",
    "memory": "MemTotal:       16000000 kB\nMemAvailable:   15000000 kB\n",
    "init": "systemd\nsystemd 252\n",
    "python": "/usr/bin/python3 3.11\n/usr/bin/python3.11 3.11\n/usr/bin/python3 3.11\n/opt/a b/python3 3.9\nbroken\n",
    "manager": "uv\n",
    "compilers": "gcc 12.2.0\ng++ \ng++-13 13.3.0\n",
    "libc": "glibc 2.36\n",
    "wheel": "",
    "nvidia": "0, NVIDIA H200, 570.86.15, 143771 MiB, 9.0\n",
    "sudo": "root",
}


def parse(**changes: str):  # type: ignore[no-untyped-def]
    return _parse({**WORDS, **changes})


def test_a_host() -> None:
    facts = parse()
    assert (facts.user, facts.uid, facts.user_home) == ("root", 0, "/root")
    assert (facts.account, facts.account_exists, facts.group, facts.home) == ("vllm", True, "serving", "/srv/a home")
    assert (facts.os_id, facts.os_version, facts.architecture, facts.cores) == ("debian", "12", "x86_64", 2)
    assert facts.cpu_flags == {"fpu", "avx2", "avx512_bf16"}
    assert facts.topology == ((0, 0, 0, 0), (1, 0, 0, 0))
    assert (facts.memory, facts.memory_available) == (16_000_000 * 1024, 15_000_000 * 1024)
    assert facts.systemd == 252
    assert facts.pythons == (("/usr/bin/python3", "3.11"), ("/usr/bin/python3.11", "3.11"), ("/opt/a b/python3", "3.9"))
    assert facts.compilers == {"gcc": "12.2.0", "g++": ""}
    assert facts.versioned_compilers == {"g++-13": "13.3.0"}
    assert facts.glibc == "2.36"
    assert facts.gpus == (Gpu(0, "NVIDIA H200", "570.86.15", 143771 << 20, "9.0"),)
    assert facts.gpu_complaint == ""
    assert (facts.manager, facts.conda_present, facts.model_revisions) == ("uv", True, {"/srv/m": "key of it"})


@pytest.mark.parametrize("said", ["252", "252.39-1~deb12u2", "255 (255.4-1ubuntu8)"])
def test_systemds_version(said: str) -> None:
    """The name of its library tells it, or else itself."""
    assert str(parse(init=f"systemd\nsystemd {said}\n+PAM +AUDIT\n").systemd) in said


def test_an_account_without_a_name() -> None:
    facts = parse(user="uid=1234 gid=0(root) groups=0(root)\n/srv/app\n")
    assert (facts.user, facts.uid, facts.user_home) == ("1234", 1234, "/srv/app")


def test_a_bare_host() -> None:
    facts = parse(
        account="vllm\n\n\n",
        folders="",
        init="none\n",
        python="",
        nvidia="",
        topology="",
        manager="",
        machine="6.1.0 aarch64\n1\n",
    )
    assert (facts.account_exists, facts.group, facts.home) == (False, "vllm", "/var/lib/vllm")
    assert (facts.systemd, facts.pythons, facts.gpus, facts.conda_present) == (0, (), (), False)
    assert facts.cpu_flags == frozenset()
    assert facts.system_python() == ("/usr/bin/python3", "3.11")


@pytest.mark.parametrize(
    ("limits", "memory"),
    [("max\n", 16_000_000 * 1024), ("4294967296\n", 2**32), ("9223372036854771712\n", 16_000_000 * 1024)],
)
def test_a_container_has_the_memory_that_it_may_use(limits: str, memory: int) -> None:
    facts = parse(memory=WORDS["memory"] + limits)
    assert facts.memory == memory
    assert facts.memory_available <= memory


def test_a_python_in_local_is_not_the_systems() -> None:
    facts = parse(python="/usr/local/bin/python3 3.10\n", os='ID=ubuntu\nVERSION_ID="24.04"\n')
    assert facts.system_python() == ("/usr/bin/python3", "3.12")


class ByShell(LocalTransport):
    """Runs scripts by this shell instead of /bin/sh."""

    def __init__(self, shell: str) -> None:
        self._shell = shell

    def execute(self, command: str, stdin: Iterable[bytes], **options: Any) -> Completed:
        script = b"".join(stdin).replace(b"/bin/sh", self._shell.encode())
        return super().execute(command.replace("/bin/sh", self._shell), [script], **options)


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_facts_of_this_machine_take_one_round_trip(shell: str, tmp_path: Path) -> None:
    """None of them ends the shell that runs them all; and no shell understands them in its own way."""
    if not (path := shutil.which(shell)):
        pytest.skip(f"no {shell} here")
    host = Host("here", ByShell(path))
    facts = gather(host, account="auto", conda_path=str(tmp_path), model_paths=[str(tmp_path)])
    assert host.round_trips == 1
    assert (facts.uid, facts.cores > 0, facts.memory > facts.memory_available > 0) == (os.getuid(), True, True)
    assert facts.kernel == platform.release()
    assert facts.os_id
    assert facts.glibc
    assert facts.model_revisions == {str(tmp_path): ""}


def test_the_version_of_a_python(tmp_path: Path) -> None:
    """By the name of the system's file that it is, or else by its own word."""
    link, other = tmp_path / "python", tmp_path / "other"
    other.write_text("#!/bin/sh\n")
    script = f"{PYTHON_VERSION}start_python() {{ echo its own; }}\npython_version "
    for file in Path("/usr/bin").glob("python3.*[0-9]"):
        if not file.is_symlink():
            link.unlink(missing_ok=True)
            link.symlink_to(file)
            said = subprocess.run(
                ["sh", "-c", f"{script} {link}; echo $version"], capture_output=True, text=True, check=True
            )
            assert said.stdout.strip() == file.name.removeprefix("python")
    said = subprocess.run(["sh", "-c", f"{script} {other}; echo $version"], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "its own"


@pytest.mark.parametrize("text", ["", "one", "one\ntwo\n", "  a\\b \t\n\n天\n"])
def test_a_small_file_is_shown_as_it_is(text: str, tmp_path: Path) -> None:
    file = tmp_path / "it's"
    file.write_text(text)
    said = subprocess.run(["sh", "-c", show(str(file))], capture_output=True, text=True, check=True).stdout
    assert said == text + ("\n" if text and not text.endswith("\n") else "")
    file.unlink()
    assert subprocess.run(["sh", "-c", show(str(file))], capture_output=True, check=True).stdout == b""


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_the_home_of_an_account(shell: str, tmp_path: Path) -> None:
    """A name that is none is no shell, and no other word that a tilde begins."""
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here")

    def home_of(account: str) -> tuple[int, str]:
        script = f'{HOME_OF}home_of {quote(account)}; echo "$? $home"'
        done = subprocess.run([shell, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
        code, _, home = done.stdout.rstrip("\n").partition(" ")
        return int(code), home

    for entry in pwd.getpwall():
        assert home_of(entry.pw_name) == (0, entry.pw_dir)
    for name in ("", "-", "+", "~", "nobody/..", "$(touch made)", "a b", "a;touch made", "no-such-account", "天"):
        assert home_of(name)[0] == 2
    assert not list(tmp_path.iterdir())
