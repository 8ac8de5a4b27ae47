"""What serve.py reads out of /metrics, of several releases, and the rates that it makes of it."""

from __future__ import annotations

import importlib.util
import json
import math
from pathlib import Path
from types import ModuleType

from hypothesis import given
from hypothesis import strategies as st

TEMPLATES = Path(__file__).parents[2] / "provisioning/templates"


def load(name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(name, TEMPLATES / f"{name}.py")
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


metrics = load("serve_metrics")

# Names and labels as vllm/engine/metrics.py wrote them: no engine, requests that were aborted among the others.
OLD = """\
# HELP vllm:num_requests_running Number of requests currently running on GPU.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{model_name="demo"} 2.0
vllm:num_requests_swapped{model_name="demo"} 1.0
vllm:num_requests_waiting{model_name="demo"} 3.0
vllm:gpu_cache_usage_perc{model_name="demo"} 0.125
vllm:cpu_cache_usage_perc{model_name="demo"} 0.5
vllm:prompt_tokens_total{model_name="demo"} 120.0
vllm:generation_tokens_total{model_name="demo"} 340.0
vllm:request_prompt_tokens_sum{model_name="demo"} 999.0
vllm:request_success_total{finished_reason="stop",model_name="demo"} 5.0
vllm:request_success_total{finished_reason="length",model_name="demo"} 2.0
vllm:request_success_total{finished_reason="abort",model_name="demo"} 4.0
"""
# Two engines (data parallel), as vllm/v1/metrics/loggers.py writes them; 0.9 had both names of the cache.
ENGINES = """\
vllm:num_requests_running{engine="0",model_name="demo"} 2.0
vllm:num_requests_running{engine="1",model_name="demo"} 1.0
vllm:num_requests_waiting{engine="0",model_name="demo"} 0.0
vllm:num_requests_waiting{engine="1",model_name="demo"} NaN
vllm:gpu_cache_usage_perc{engine="0",model_name="demo"} 0.25
vllm:kv_cache_usage_perc{engine="0",model_name="demo"} 0.25
vllm:kv_cache_usage_perc{engine="1",model_name="demo"} 0.75
vllm:prompt_tokens_total{engine="0",model_name="a } b"} 1e+06
vllm:prompt_tokens_total{engine="1",model_name="a } b"} 1.0
vllm:prompt_tokens_created{engine="0",model_name="demo"} 1.7e+09
"""
# What vLLM 0.32.0 said that this project had installed, after 12 requests and a question of serve.py; shortened.
REAL = """\
vllm:num_requests_running{engine="0",model_name="demo"} 0.0
vllm:num_requests_waiting{engine="0",model_name="demo"} 0.0
vllm:num_requests_waiting_by_reason{engine="0",model_name="demo",reason="capacity"} 0.0
vllm:num_requests_waiting_by_reason{engine="0",model_name="demo",reason="deferred"} 0.0
vllm:kv_cache_usage_perc{engine="0",model_name="demo"} 0.0
vllm:prompt_tokens_total{engine="0",model_name="demo"} 181.0
vllm:prompt_tokens_created{engine="0",model_name="demo"} 1.7956375072865663e+09
vllm:prompt_tokens_by_source_total{engine="0",model_name="demo",source="local_compute"} 181.0
vllm:prompt_tokens_by_source_total{engine="0",model_name="demo",source="local_cache_hit"} 0.0
vllm:prompt_tokens_by_source_total{engine="0",model_name="demo",source="external_kv_transfer"} 0.0
vllm:prompt_tokens_cached_total{engine="0",model_name="demo"} 0.0
vllm:generation_tokens_total{engine="0",model_name="demo"} 421.0
vllm:request_success_total{engine="0",finished_reason="stop",model_name="demo"} 12.0
vllm:request_success_total{engine="0",finished_reason="length",model_name="demo"} 1.0
vllm:request_success_total{engine="0",finished_reason="abort",model_name="demo"} 0.0
vllm:request_success_total{engine="0",finished_reason="error",model_name="demo"} 0.0
vllm:request_success_total{engine="0",finished_reason="repetition",model_name="demo"} 0.0
"""


def test_an_old_release() -> None:
    assert metrics.read(OLD) == {
        **{"running": 2, "waiting": 3, "kv_cache": 0.125},
        **{"requests": 7, "prompt_tokens": 120, "generation_tokens": 340},
    }


def test_several_engines() -> None:
    assert metrics.read(ENGINES) == {"running": 3, "waiting": 0, "kv_cache": 0.75, "prompt_tokens": 1000001}


def test_a_real_server() -> None:
    assert metrics.read(REAL) == {
        **{"running": 0, "waiting": 0, "kv_cache": 0},
        **{"requests": 13, "prompt_tokens": 181, "generation_tokens": 421},
    }
    sample = metrics.Traffic().sample(REAL, 1, 5.0)
    assert [sample[name] for name in metrics.COUNTERS] == [12, 180, 420]


def test_no_counters() -> None:
    """--disable-log-stats."""
    assert metrics.read('# HELP python_info\npython_gc_objects_collected_total{generation="0"} 7.0\n') == {}
    assert set(metrics.Traffic().sample("", 0, 1.0)) == {"at"}


def counted(requests: float, prompt: float = 0, generated: float = 0) -> str:
    numbers = {"request_success": requests, "prompt_tokens": prompt, "generation_tokens": generated}
    return "".join(f'vllm:{name}_total{{model_name="m"}} {number}\n' for name, number in numbers.items())


def test_rates_are_those_since_the_sample_before() -> None:
    traffic = metrics.Traffic()
    first = traffic.sample(counted(1, 10, 100), 0, 50.0)
    assert "per_second" not in first
    second = traffic.sample(counted(3, 30, 200), 0, 55.0)
    assert second["seconds"] == 5.0
    assert second["per_second"] == {"requests": 0.4, "prompt_tokens": 4.0, "generation_tokens": 20.0}
    assert (second["requests"], second["generation_tokens"]) == (3, 200)
    assert traffic.sample(counted(3, 30, 200), 0, 60.0)["per_second"]["requests"] == 0


def test_its_own_questions_are_left_out() -> None:
    """One token of the prompt and one of the answer each; and one may be counted here before it is there."""
    traffic = metrics.Traffic()
    traffic.sample(counted(1, 1, 1), 1, 0.0)
    idle = traffic.sample(counted(2, 2, 2), 2, 5.0)
    early = traffic.sample(counted(2, 2, 2), 3, 10.0)
    asked = traffic.sample(counted(4, 13, 23), 3, 15.0)
    assert [each["requests"] for each in (idle, early, asked)] == [0, 0, 1]
    assert asked["per_second"] == {"requests": 0.2, "prompt_tokens": 2.0, "generation_tokens": 4.0}


@given(st.text() | st.lists(st.sampled_from([*OLD.splitlines(), "vllm:prompt_tokens_total x", "{", ""])).map("\n".join))
def test_whatever_comes_a_sample_is_json(text: str) -> None:
    traffic = metrics.Traffic()
    traffic.sample(text, 0, 1.0)
    sample = json.loads(json.dumps(traffic.sample(text, 0, 2.0), allow_nan=False))
    assert all(math.isfinite(value) for value in sample.values() if isinstance(value, float))
