"""What serve.py finds out on the host: how many GPUs share a model."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).parents[2] / "provisioning/templates/serve_config.py"
specification = importlib.util.spec_from_file_location("serve_config_alone", PROGRAM)
assert specification
assert specification.loader
config = importlib.util.module_from_spec(specification)
sys.modules["serve_config_alone"] = config
specification.loader.exec_module(config)


def model(folder: Path, content: Any) -> Path:
    (folder / "config.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize(
    ("content", "gpus", "size"),
    [
        ({"num_attention_heads": 32}, 8, 8),
        ({"num_attention_heads": 32}, 6, 4),
        ({"num_attention_heads": 14}, 8, 2),
        ({"num_attention_heads": 2}, 8, 2),
        ({"num_attention_heads": 25}, 8, 1),
        ({"num_attention_heads": 4, "text_config": {"num_attention_heads": 40}}, 8, 8),
        ({"text_config": {"num_attention_heads": 28}}, 8, 4),
        ({"n_head": 12}, 4, 4),
        ({"num_attention_heads": 40, "num_key_value_heads": 10}, 8, 2),
        ({"num_attention_heads": 32, "num_key_value_heads": 4}, 8, 8),
        ({"num_attention_heads": 14, "num_key_value_heads": 2}, 4, 2),
        ({"num_attention_heads": 32}, 1, 1),
    ],
)
def test_the_largest_power_of_two_that_divides_the_heads(tmp_path: Path, content: Any, gpus: int, size: int) -> None:
    assert config.tensor_parallel_size(model(tmp_path, content), gpus) == size


@pytest.mark.parametrize("content", [{}, [], {"num_attention_heads": "many"}, {"text_config": None}])
def test_a_model_that_does_not_say(tmp_path: Path, content: Any) -> None:
    with pytest.raises(config.ConfigurationError, match="set tensor_parallel_size"):
        config.tensor_parallel_size(model(tmp_path, content), 2)


def test_a_model_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(config.ConfigurationError, match=r"config\.json"):
        config.tensor_parallel_size(tmp_path, 2)


def command(folder: Path, **variables: str) -> list[str]:
    given = {"VLLM_PYTHON": "/v/bin/python", "VLLM_URL": "http://127.0.0.1:8000", "VLLM_SERVED_MODEL": "m"}
    arguments = json.dumps(["--model", str(folder), "--tensor-parallel-size", "1"])
    return list(config.read({**given, "VLLM_ARGUMENTS": arguments, **variables}).command)[3:]


def test_what_is_found_out_comes_before_what_is_told(tmp_path: Path) -> None:
    model(tmp_path, {"num_attention_heads": 32})
    told = ["--model", str(tmp_path), "--tensor-parallel-size", "1"]
    assert command(tmp_path) == told
    assert command(tmp_path, VLLM_GPUS="4") == ["--tensor-parallel-size", "4", *told]
    assert command(tmp_path, VLLM_GPUS="4", CUDA_VISIBLE_DEVICES="2,3") == ["--tensor-parallel-size", "2", *told]
    assert command(tmp_path, VLLM_GPUS="4", CUDA_VISIBLE_DEVICES="3") == told
    assert command(tmp_path, VLLM_GPUS="1") == told


def test_vllm_does_not_hear_of_it() -> None:
    assert "VLLM_GPUS" not in config.environment({"VLLM_GPUS": "2", "CUDA_VISIBLE_DEVICES": "0,1"}, "")
    assert config.environment({"CUDA_VISIBLE_DEVICES": "0,1"}, "") == {"CUDA_VISIBLE_DEVICES": "0,1"}
