"""What `doctor` says of a host: from its facts, and from what its probes print."""

from __future__ import annotations

import subprocess
import time
from typing import Any

import pytest
from sites import DEMO, GIB, site

from provisioning import doctor
from provisioning.doctor import ERROR, OK, WARNING, Finding
from provisioning.inventory import HostEntry
from provisioning.settings import HostSettings
from provisioning.site import Site
from provisioning.ssh_settings import SshSettings

DISK = "Filesystem 1-blocks Used Available Capacity Mounted on\n/dev/vda1 100 50 {} 50% /var\n"


def examined(
    of: Site, *, disk: int = 50 * GIB, clock: float = 0, packages: str = "", mirror: str = "200"
) -> dict[str, Finding]:
    """Findings by topic; the last of a topic counts."""
    indexes = [mirror] * (len(doctor.probes(of)) - 4)
    answers = [
        DISK.format(disk),
        f"{time.time() + clock:.0f}\n",
        packages,
        f"https://pypi.org/simple/ {mirror}",
        *indexes,
    ]
    return {found.topic: found for found in doctor.findings(of, answers)}


def test_an_ordinary_host_has_nothing_to_mend() -> None:
    found = examined(site())
    assert {each.level for each in found.values()} == {OK}
    assert found["processor"].text == "x86_64, 4 cores, AVX2, AVX512, AVX512-BF16"
    assert found["supervisor"].text == "systemd 252"
    assert found["account"].text == "vllm serves, with home /var/lib/vllm"
    assert found["disk"].text == "50 GiB free on /var"
    assert not any(each.remedy for each in found.values())


@pytest.mark.parametrize(
    ("topic", "level", "words", "facts"),
    [
        ("processor", ERROR, "no AVX2", {"cpu_flags": frozenset({"sse4_2"})}),
        ("processor", OK, "AMX", {"cpu_flags": frozenset({"avx2", "amx_bf16"})}),
        ("processor", OK, "aarch64", {"architecture": "aarch64", "cpu_flags": frozenset({"asimd"})}),
        ("processor", ERROR, "riscv64", {"architecture": "riscv64"}),
        ("system", ERROR, "Fedora", {"os_id": "fedora", "os_name": "Fedora Linux 42"}),
        ("memory", WARNING, "2.0 GiB", {"memory": 2 * GIB}),
        ("supervisor", OK, "supervisord serves instead", {"systemd": 0}),
        ("compilers", WARNING, "gcc missing", {"compilers": {"gcc": "", "g++": ""}}),
        ("compilers", WARNING, "g++ 11.4.0", {"compilers": {"gcc": "12.3.0", "g++": "11.4.0"}}),
        ("compilers", OK, "gcc 12.3.0", {"compilers": {"gcc": "12.3.0", "g++": "12.3.0"}}),
        ("rights", OK, "sudo, with a password", {"user": "admin", "uid": 1000, "sudo": "password"}),
        ("rights", ERROR, "none is known", {"user": "admin", "uid": 1000, "sudo": "refused"}),
        ("rights", ERROR, "not installed", {"user": "admin", "uid": 1000, "sudo": "missing"}),
    ],
)
def test_facts(topic: str, level: str, words: str, facts: dict[str, Any]) -> None:
    found = examined(site(**facts))[topic]
    assert (found.level, words in found.text) == (level, True), found
    assert bool(found.remedy) == (level != OK and "riscv" not in words), found


def test_a_gpu_is_missed_only_where_it_is_wanted() -> None:
    cuda = {**DEMO, "build": {"device": "cuda"}}
    assert examined(site())["GPUs"].level == OK
    assert examined(site(cuda))["GPUs"].level == ERROR
    found = examined(site(cuda, gpus=("NVIDIA H100, 550.54, 81559 MiB",)))["GPUs"]
    assert (found.level, found.text) == (OK, "NVIDIA H100, 550.54, 81559 MiB")


def test_a_pair_that_cannot_work_is_named() -> None:
    told = {**DEMO, "environment": {"python": "3.10"}, "build": {"vllm": "0.32.0"}}
    found = examined(site(told))["vLLM"]
    assert found.level == ERROR
    assert found.remedy


@pytest.mark.parametrize(
    ("topic", "level", "words", "printed"),
    [
        ("disk", ERROR, "2.0 GiB free on /var", {"disk": 2 * GIB}),
        ("clock", OK, "agrees", {"clock": 200}),
        ("clock", ERROR, "ahead", {"clock": 4000}),
        ("clock", ERROR, "behind", {"clock": -4000}),
        ("packages", WARNING, "interrupted", {"packages": "The following packages are only half configured"}),
        ("packages", ERROR, "no apt-get", {"packages": "no-apt\n"}),
        ("mirror", WARNING, "Could not resolve host", {"mirror": "curl: (6) Could not resolve host: x 000"}),
        ("mirror", OK, "answers", {"mirror": "403"}),
        ("mirror", WARNING, "it answers 503", {"mirror": "503"}),
        ("mirror", OK, "answers", {"mirror": "connects"}),
    ],
)
def test_probes(topic: str, level: str, words: str, printed: dict[str, Any]) -> None:
    found = examined(site(), **printed)[topic]
    assert (found.level, words in found.text) == (level, True), found
    assert bool(found.remedy) == (level != OK)


def test_probes_are_shell() -> None:
    for shell in doctor.probes(site()):
        subprocess.run(["/bin/sh", "-n", "-c", shell], check=True)


def test_a_mirrors_password_is_not_shown() -> None:
    assert "secret" not in doctor._mirror("https://me:secret@mirror.example.com/simple", "200").text


def test_the_table_shows_text_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    odd = "~/a[/b] at core.py:100: [bold]"
    entry = HostEntry("web[1]", HostSettings(), SshSettings("web1"), {})
    code = doctor.show([entry], [[Finding(ERROR, "vLLM", odd, odd)]])
    assert code == 1
    assert [row.strip() for row in capsys.readouterr().out.splitlines()] == [
        "web[1]",
        f"error  vLLM  {odd}",
        f"→ {odd}",
    ]
