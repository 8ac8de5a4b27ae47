"""serve.py's decisions: what is hung, how long to wait, when to give up. The program is loaded as a host runs it."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

TEMPLATES = Path(__file__).parents[2] / "provisioning/templates"


def load(name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(name, TEMPLATES / f"{name}.py")
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    specification.loader.exec_module(module)
    return module


health, process, config = load("serve_health"), load("serve_process"), load("serve_config")
serve = load("serve")


def watch(hang: float = 30, busy: float = 300) -> ModuleType:
    return health.Watch(hang, busy, 10)


def looks(judge: ModuleType, number: int, **seen: bool) -> list[str]:
    return [judge.look(5, **{"asked": True, "progress": False, "working": False, **seen}) for _ in range(number)]


def test_no_answer_and_no_work_for_the_hang_timeout_is_hung() -> None:
    judge = watch()
    assert looks(judge, 6) == ["ready", "ready", "quiet", "quiet", "quiet", "hung"]
    assert judge.reason() == "no token for 30 s, and no work on one for 30 s"


def test_work_without_tokens_is_busy_until_the_busy_timeout() -> None:
    judge = watch()
    verdicts = looks(judge, 60, working=True)
    assert set(verdicts[2:59]) == {"busy"}
    assert verdicts[59] == "hung"
    assert "though its processes work" in judge.reason()


@given(st.lists(st.booleans(), max_size=200))
def test_whoever_makes_tokens_is_never_hung(asked: list[bool]) -> None:
    judge = watch()
    assert all(judge.look(5, asked=each, progress=True, working=False) == "ready" for each in asked)


def test_a_long_queue_is_never_hung() -> None:
    judge = watch()
    pattern = [*looks(judge, 5), *looks(judge, 1, progress=True)] * 100
    assert "hung" not in pattern


def test_a_server_that_nobody_asks_may_be_silent() -> None:
    assert set(looks(watch(), 1000, asked=False)) == {"ready"}


def test_time_that_nobody_watched_does_not_count() -> None:
    judge = watch()
    assert judge.look(86400, asked=True, progress=False, working=False) != "hung"


def test_waits_grow_and_end() -> None:
    assert [health.wait_before(attempt) for attempt in (1, 2, 3, 4, 9, 10, 11)] == [0, 2, 4, 8, 256, 300, 300]


METRICS = """\
# HELP vllm:generation_tokens_total Number of generation tokens processed.
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{engine="0",model_name="a b"} 40.0
vllm:generation_tokens_total{engine="1",model_name="a b"} 2.0
vllm:generation_tokens_created{engine="0",model_name="a b"} 1.7e+09
vllm:prompt_tokens_total{engine="0",model_name="a b"} 1e+03
vllm:iteration_tokens_total_bucket{engine="0",le="1.0"} 7.0
vllm:iteration_tokens_total_count{engine="0"} 7.0
vllm:num_requests_running{engine="0"} 5.0
"""


def test_progress_is_the_sum_of_the_counters_that_move_with_tokens() -> None:
    assert health.total(METRICS) == 40 + 2 + 1000 + 7
    assert health.total("# vllm without statistics\npython_info 1.0\n") is None


def usage(ran: float = 0, waited: float = 0, storage: int = 0) -> ModuleType:
    return process.Usage({1: (ran, waited), 2: (0.0, 0.0)}, storage)


@pytest.mark.parametrize(
    ("after", "busy"),
    [
        (usage(), False),
        (usage(ran=0.5), False),
        (usage(ran=3.5), True),
        (usage(ran=0.4, waited=4.5), True),  # computes, on a machine with ten others
        (usage(ran=0.01, waited=4.5), False),  # wakes up now and then, on such a machine
        (usage(storage=1 << 21), True),
    ],
)
def test_work_is_a_thread_that_runs_or_is_starved_or_storage(after: ModuleType, busy: bool) -> None:
    assert after.busy_since(usage(), 10) is busy


def test_many_threads_that_look_around_are_no_work() -> None:
    threads = dict.fromkeys(range(100), (0.01, 0.5))
    assert not process.Usage(threads, 0).busy_since(process.Usage({}, 0), 10)


def test_a_computing_process_is_seen_working_and_a_sleeping_one_is_not() -> None:
    for code, busy in (("while True: pass", True), ("time.sleep(600)", False)):
        program = [sys.executable, "-c", f"import time; print('begun', flush=True)\n{code}"]
        child = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
        try:
            assert child.stdout
            assert child.stdout.readline() == "begun\n"  # that Python starts is work too
            before = process.usage(each for each in process.descendants() if each.pid == child.pid)
            time.sleep(1)
            after = process.usage(each for each in process.descendants() if each.pid == child.pid)
            assert after.busy_since(before, 1) is busy
        finally:
            child.kill()
            child.wait()


def settings(tmp_path: Path, **changes: str) -> dict[str, str]:
    values = {
        "VLLM_PYTHON": sys.executable,
        "VLLM_ARGUMENTS": "[]",
        "VLLM_URL": "http://127.0.0.1:18190",
        "VLLM_SERVED_MODEL": "demo",
        "VLLM_STATE_DIRECTORY": str(tmp_path / "state"),
    }
    return {name: value for name, value in {**values, **changes}.items() if value != "-"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"VLLM_PYTHON": "-"}, "VLLM_PYTHON is not set"),
        ({"VLLM_ARGUMENTS": "--model x"}, "should be a JSON list"),
        ({"VLLM_ARGUMENTS": '"--model"'}, "should be a JSON list"),
        ({"HEALTH_INTERVAL": "soon"}, "HEALTH_INTERVAL should be a number of seconds"),
        ({"HEALTH_HANG_TIMEOUT": "-1"}, "HEALTH_HANG_TIMEOUT should be a number of seconds"),
        ({"VLLM_API_KEY_FILE": "/nonexistent/key"}, "cannot read the API key"),
    ],
)
def test_a_wrong_environment_is_no_reason_to_restart(tmp_path: Path, changes: dict[str, str], says: str) -> None:
    ended = run(settings(tmp_path, **changes))
    assert ended.returncode == 78
    assert says in ended.stderr


def run(values: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(TEMPLATES / "serve.py"), "demo"]
    environment = {"PATH": os.environ["PATH"], **values}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_environment_of_vllm_has_the_key_and_none_of_our_variables(tmp_path: Path) -> None:
    library = tmp_path / "libiomp5.so"
    library.touch()
    ours = settings(tmp_path, VLLM_PRELOAD=f"{library}:/nonexistent.so", NOTIFY_SOCKET="/run/x", HF_HOME="/h")
    passed = config.environment({**ours, "VLLM_CPU_KVCACHE_SPACE": "4"}, "secret")
    assert passed == {
        "HF_HOME": "/h",
        "VLLM_CPU_KVCACHE_SPACE": "4",
        "LD_PRELOAD": str(library),
        "VLLM_API_KEY": "secret",
    }


def test_attempts_are_counted_across_deaths_and_given_up(tmp_path: Path) -> None:
    # The interpreter knows no module vllm, so every attempt fails.
    values = settings(tmp_path)
    ended = run(values)
    assert (ended.returncode, state(tmp_path)["message"]) == (69, "vLLM ended (status 1)")
    attempts = tmp_path / "state/attempts"
    assert attempts.read_text() == "1"
    began = time.monotonic()
    assert run(values).returncode == 69
    assert time.monotonic() - began >= 2
    assert attempts.read_text() == "2"
    attempts.write_text("10")
    ended = run(values)
    assert (ended.returncode, attempts.read_text()) == (78, "0")
    assert state(tmp_path)["phase"] == "stopped"
    assert "given up after 10 attempts" in state(tmp_path)["message"]


def state(tmp_path: Path) -> dict[str, str]:
    return json.loads((tmp_path / "state/state.json").read_text())  # type: ignore[no-any-return]


def test_a_stop_ends_the_series_of_attempts(tmp_path: Path) -> None:
    values = {**os.environ, **settings(tmp_path)}
    (tmp_path / "state").mkdir()
    (tmp_path / "state/attempts").write_text("5")
    command = [sys.executable, "-I", str(TEMPLATES / "serve.py"), "demo"]
    with subprocess.Popen(command, env=values) as child:
        deadline = time.monotonic() + 60
        while not (tmp_path / "state/state.json").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert state(tmp_path)["phase"] == "waiting"
        child.terminate()
        assert child.wait(60) == 0
    assert (tmp_path / "state/attempts").read_text() == "0"


def test_a_taken_port_is_said_before_anything_is_started(tmp_path: Path) -> None:
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        ended = run(settings(tmp_path, VLLM_URL=f"http://127.0.0.1:{other.getsockname()[1]}"))
    assert ended.returncode == 69
    assert "cannot listen on" in ended.stderr
