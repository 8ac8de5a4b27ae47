"""What `doctor` says of a host: from its facts, and from what its probes print."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from sites import DEMO, GIB, h100s, site

from provisioning import doctor, doctor_disks, inventory
from provisioning.doctor_mirrors import Mirror, mirrors
from provisioning.errors import ExitCode, UnreachableError
from provisioning.findings import ERROR, OK, WARNING, Finding
from provisioning.inventory import HostEntry
from provisioning.settings import HostSettings
from provisioning.site import Site
from provisioning.ssh_settings import SshSettings

DISK = "/dev/vda1 100 50 {} 50% {}\n"


def examined(
    of: Site, *, disk: int = 50 * GIB, clock: float = 0, packages: str = "", mirror: str = "200"
) -> dict[str, Finding]:
    """Findings by topic; the last of a topic counts."""
    answers = [
        DISK.format(disk, "/var") * len(doctor_disks.needs(of)),
        f"{time.time() + clock:.0f}\n",
        packages,
        *[f"https://pypi.org/simple/ {mirror}"] * (len(doctor.probes(of)) - 3),
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
    found = examined(site(cuda, gpus=h100s(2)))
    assert (found["GPUs"].level, found["GPUs"].text) == (OK, "2 × NVIDIA H100 (80 GiB, capability 9.0)")
    assert (found["driver"].level, found["driver"].text) == (OK, "580.159.04, runs CUDA 13.x")
    assert "driver" not in examined(site())


def test_a_driver_that_answers_with_an_error() -> None:
    cuda = {**DEMO, "build": {"device": "cuda"}}
    found = examined(site(cuda, gpu_complaint="Failed to initialize NVML: Driver/library version mismatch"))["GPUs"]
    assert (found.level, found.text) == (ERROR, "Failed to initialize NVML: Driver/library version mismatch")
    assert "580" in found.remedy


def test_a_driver_that_the_wanted_release_cannot_run_with() -> None:
    cuda = {**DEMO, "build": {"device": "cuda", "vllm": "0.30.0"}}
    found = examined(site(cuda, gpus=h100s(1, "535.183.01")))
    assert found["driver"].text == "535.183.01, runs CUDA 12.x"
    assert found["vLLM"].level == ERROR
    assert "needs CUDA 13.0" in found["vLLM"].text
    assert "0.19.1" in found["vLLM"].remedy


def test_services_that_share_a_gpu() -> None:
    two = {"one": {"model": "demo"}, "two": {"model": "demo", "port": 8001}}
    cuda = {**DEMO, "services": two, "build": {"device": "cuda"}}
    assert examined(site(cuda, gpus=h100s(2)))["GPUs"].level == OK
    found = examined(site(cuda, gpus=h100s(1)))["GPUs"]
    assert (found.level, found.text) == (WARNING, "one, two share GPU 0, each with 45% of its memory")


def test_room_for_torch_and_cuda() -> None:
    cuda = {**DEMO, "build": {"device": "cuda"}}
    found = examined(site(cuda, gpus=h100s(1)), disk=10 * GIB)["disk"]
    assert (found.level, found.remedy) == (ERROR, "16 GiB are needed there: make room.")
    there = {**DEMO, "build": {"device": "cuda", "exclude": ["torch"]}}
    assert examined(site(there, gpus=h100s(1)), disk=10 * GIB)["disk"].level == OK


def test_without_an_index_the_folders_are_asked_for(tmp_path: Path) -> None:
    offline = {"pip": {"index": "none", "find_links": [str(tmp_path), "/no/where", "https://a.example.com/w/"]}}
    here, nowhere, page = mirrors(site({**DEMO, **offline}, manager="uv"))
    said = []
    for mirror in (here, nowhere):
        done = subprocess.run(["sh", "-c", mirror.probe], capture_output=True, text=True, check=True)
        said.append(mirror.judge(done.stdout))
    assert [each.level for each in said] == [OK, WARNING]
    assert "pip.find_links" in said[1].remedy
    assert page.asks == "ask https://a.example.com/w/"


def test_minicondas_mirrors_are_nothing_to_whoever_chose_uv() -> None:
    assert not any("conda" in each.setting for each in mirrors(site({"environment": {"manager": "uv"}}, manager="")))
    assert any("conda" in each.setting for each in mirrors(site({}, manager="")))


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
        ("mirror", WARNING, "pypi.org: it answers 403: Blocked [by] us", {"mirror": "403 Blocked [by] us"}),
        ("mirror", WARNING, "it answers 404", {"mirror": "404 "}),
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
    mirror = Mirror("", "pip.index")
    assert "secret" not in mirror.judge("https://me:secret@mirror.example.com/simple/uv/ 200").text
    assert mirror.judge("").text == "pip.index: no answer", "a probe that was cut off"


def test_every_mirror_is_asked_for_what_will_be_wanted() -> None:
    told = {
        "apt": {"mirror": "https://apt.example.com/"},
        "pip": {"index": "https://pip.example.com/simple", "extra_indexes": ["https://more.example.com/simple"]},
        "miniconda": {"mirrors": ["https://conda.example.com"]},
        "build": {"torch_indexes": ["https://torch.example.com/cpu/"]},
    }
    asked = [each.asks for each in mirrors(site({**DEMO, **told}, manager="conda"))]
    for found, wanted in zip(
        asked,
        (
            "ask https://apt.example.com/debian/dists/$VERSION_CODENAME/InRelease",
            "url=https://pip.example.com/simple;",
            "ask https://more.example.com/simple",
            "ask https://conda.example.com/Miniconda3-",
            "ask https://torch.example.com/cpu/torch/",
        ),
        strict=True,
    ):
        assert wanted in found
    ubuntu = {**DEMO, "apt": {"mirror": "tuna"}}
    arm: dict[str, Any] = {"os_id": "ubuntu", "architecture": "aarch64"}
    assert "/ubuntu-ports/dists/" in next(mirrors(site(ubuntu, **arm))).asks
    assert "/ubuntu/dists/" in next(mirrors(site(ubuntu, os_id="ubuntu"))).asks


def test_the_servers_of_models_are_asked() -> None:
    models = {
        "a": {"id": "o/a"},
        "b": {"id": "o/b", "method": "huggingface", "endpoint": "https://hub.lan"},
        "c": {"id": "o/c", "method": "auto"},
        "unserved": {"id": "o/d", "endpoint": "https://other.lan"},
    }
    services = {name: {"model": name, "port": 8000 + number} for number, name in enumerate("abc")}
    asked = {each.asks: each.setting for each in mirrors(site({"models": models, "services": services}, manager="uv"))}
    assert asked["ask https://www.modelscope.cn"] == "hubs.modelscope"
    assert asked["ask https://hub.lan"] == "models.b.endpoint"
    assert asked["ask https://hf-mirror.com"] == "hubs.huggingface"
    assert "ask https://other.lan" not in asked


def test_the_root_of_a_further_index_may_have_no_page() -> None:
    assert Mirror("", "pip.extra_indexes", root=True).judge("https://a.example.com/x 404 Not found").level == OK
    assert Mirror("", "pip.extra_indexes", root=True).judge("https://a.example.com/x 403 No").level == WARNING
    assert Mirror("", "miniconda.mirrors").judge("https://a.example.com/x 404 Not found").level == WARNING


class Refusing(BaseHTTPRequestHandler):
    """Serves /good, and refuses all else in its own words."""

    def do_HEAD(self) -> None:
        self.send_response(200 if self.path == "/good" else 403)
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        self.wfile.write(b"<html><h1>Blocked</h1>\n<p>by the firewall</p></html>")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_a_refusal_comes_with_the_servers_words(tmp_path: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        where = f"127.0.0.1:{server.server_port}"
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "no_proxy": "*"}
        said = []
        for url in (f"http://{where}/good", f"http://{where}/bad", f"file://{tmp_path}", "file:///nowhere"):
            mirror = Mirror(f"ask '{url}'", "pip.index")
            shell = ["sh", "-c", mirror.probe]
            done = subprocess.run(shell, env=environment, capture_output=True, text=True, check=True)
            said.append(mirror.judge(done.stdout).text)
        server.shutdown()
    assert said == [
        f"{where} answers",
        f"{where}: it answers 403: Blocked by the firewall",
        f"file://{tmp_path} answers",
        "file:///nowhere: there is no such file or folder",
    ]


# Disks


def test_each_file_system_is_judged_once_by_all_that_it_gets() -> None:
    here = site()
    assert list(doctor_disks.needs(here)) == [
        "/var/lib/vllm/venvs/vLLM",
        "/var/lib/vllm/.cache/vllm-provisioning",
        "/var/lib/vllm-provisioning",
        "/usr",
        "/var/cache/vllm",
        "/var/lib/vllm/ModelSpace/demo",
    ]
    rows = [("/a mount", 4), ("/var", 5), ("/var", 5), ("/", 0.4), ("/", 0.4), ("/var", 5)]
    output = "".join(DISK.format(int(size * GIB), mount) for mount, size in rows)
    assert list(doctor_disks.findings(here, output)) == [
        Finding(OK, "disk", "4 GiB free on /a mount"),
        Finding(OK, "disk", "5 GiB free on /var"),
        Finding(ERROR, "disk", "0.4 GiB free on /", "1 GiB are needed there: make room."),
    ]


def test_folders_that_are_yet_to_be_made_are_looked_for_above() -> None:
    output = subprocess.run(["sh", "-c", doctor_disks.probe(site())], capture_output=True, text=True, check=True).stdout
    assert len(output.splitlines()) == len(doctor_disks.needs(site()))
    assert all(len(row.split()) >= 6 for row in output.splitlines())


# How it ends


@pytest.mark.parametrize(
    ("results", "code"),
    [
        ([[Finding(OK, "a", "b")]], ExitCode.OK),
        ([[Finding(WARNING, "a", "b")]], ExitCode.OK),
        ([[Finding(ERROR, "a", "b"), Finding(ERROR, "c", "d")]], ExitCode.FAILED),
        ([UnreachableError("away")], ExitCode.UNREACHABLE),
        ([UnreachableError("away"), [Finding(OK, "a", "b")]], ExitCode.UNREACHABLE),
        ([UnreachableError("away"), [Finding(ERROR, "a", "b")]], ExitCode.FAILED),
        ([[Finding(ERROR, "a", "b")], UnreachableError("away")], ExitCode.FAILED),
    ],
)
def test_the_exit_code(tmp_path: Path, results: list[Any], code: ExitCode) -> None:
    names = [f"web{number}" for number in range(len(results))]
    (tmp_path / "inventory.yaml").write_text("all: {hosts: {" + ", ".join(f"{name}: {{}}" for name in names) + "}}")
    assert doctor.show(inventory.load(tmp_path / "inventory.yaml").select(), results) == code


def test_an_installer_that_nobody_knows_is_a_finding() -> None:
    told = {**DEMO, "environment": {"manager": "conda"}, "miniconda": {"version": "py310_1.2.3-0"}}
    found = examined(site(told))
    assert found["Miniconda"].level == ERROR


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
