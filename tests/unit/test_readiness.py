"""What a server's log means: lines of vLLM 0.31 and 0.32, torch and systemd as they were seen."""

from __future__ import annotations

import subprocess

import pytest

from provisioning import readiness
from provisioning.readiness import likely_cause, meaning

CONFIG = (
    "(EngineCore pid=5329) INFO 11-23 21:46:21 [core.py:133] Initializing a V1 LLM engine (v0.32.0) with config: "
    "model='/var/lib/vllm/ModelSpace/demo', max_seq_len=200, download_dir=None, load_format=auto\n"
    "(APIServer pid=4868) INFO 11-23 21:45:47 [api_utils.py:286] non-default args: {'max_model_len': 200}\n"
)
"""Every log holds lines like these, whatever went wrong."""


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "(Worker pid=5546) INFO 11-23 21:46:38 [cpu_model_runner.py:71] Starting to load model /srv/demo...",
            "weights",
        ),
        ("Loading safetensors checkpoint shards: 100% Completed | 1/1 [00:00<00:00, 99.6it/s]", "weights"),
        (
            "(Worker pid=5546) INFO 11-23 21:46:39 [cpu_model_runner.py:83] Warming up model for the compilation...",
            "compil",
        ),
        (
            "(EngineCore pid=5329) INFO 11-23 21:47:27 [kv_cache_utils.py:1711] GPU KV cache size: 262,144 tokens",
            "KV cache",
        ),
        ("INFO:     Started server process [4868]", "first token"),
        ("(APIServer pid=4868) INFO 11-23 21:45:47 [api_utils.py:347]        █     █     █▄   ▄█", ""),
    ],
)
def test_phases(line: str, words: str) -> None:
    assert words in meaning(line)
    assert bool(meaning(line)) == bool(words)


CAUSES = {
    "vllm@a.service: Failed at step NAMESPACE spawning /usr/bin/python3: No space left on device\n"
    "vllm@a.service: Main process exited, code=exited, status=226/NAMESPACE": "the disk is full",
    "serve: stopped: cannot listen on 127.0.0.1:8000: Address already in use": "the port is taken",
    "OSError: [Errno 98] error while attempting to bind on address ('127.0.0.1', 8000): Address already in use": "port",
    "serve: stopped: vLLM ended (SIGKILL)": "out of memory",
    "vllm@demo.service: A process of this unit has been killed by the OOM killer.": "out of memory",
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB": "out of memory",
    "RuntimeError: [enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: you tried "
    "to allocate 17179869184 bytes. Error code 12 (Cannot allocate memory)": "out of memory",
    "serve: stopped: vLLM ended (SIGILL)": "instructions that the CPU lacks",
    "torch._inductor.exc.InductorError: InvalidCxxCompiler: No working C++ compiler found in "
    "torch._inductor.config.cpp.cxx: (None, 'g++')": "no C++ compiler",
    "ImportError: libnuma.so.1: cannot open shared object file: No such file or directory": "shared library",
    "/tmp/x.main.cpp:2:10: fatal error: Python.h: No such file or directory": "Python's headers",
    "ValueError: To serve at least one request with the model's max seq len (4096), (8.0 GiB KV cache is needed, which "
    "is larger than the available KV cache memory (1.0 GiB)": "the context is longer",
    "  Value error, User-specified max_model_len (9999) is greater than the derived max_model_len": "context is longer",
    "RuntimeError: Failed to infer device type": "no device",
    "api_server.py: error: unrecognized arguments: --max-modle-len 100": "does not know an argument",
    "api_server.py: error: argument --port: invalid int value: 'x'": "does not know an argument",
    "safetensors_rust.SafetensorError: Error while deserializing header: incomplete metadata, file not fully covered": (
        "the weights are incomplete"
    ),
    "ValueError: Model architectures ['FooForCausalLM'] are not supported for now.": "cannot serve that model",
    "vllm@demo.service: Failed at step USER spawning /usr/bin/python3: No such process": "as its unit says",
    "vllm@demo.service: Main process exited, code=exited, status=217/USER": "as its unit says",
    "OSError: [Errno 28] No space left on device": "the disk is full",
    "PermissionError: [Errno 13] Permission denied: '/srv/model/config.json'": "may not read",
}


@pytest.mark.parametrize("line", CAUSES)
def test_causes(line: str) -> None:
    cause, remedy = likely_cause(f"{CONFIG}{line}\nserve: stopped: vLLM ended (status 1)\n")
    assert CAUSES[line] in cause
    assert remedy


def test_an_ordinary_log_is_no_cause() -> None:
    assert likely_cause(CONFIG) == ("", "")


def test_the_script_is_shell() -> None:
    parts = {"stop": "systemctl stop x", "start": "systemctl start x", "lost": "false", "log": "exec tail -F x"}
    script = readiness._FOLLOW.format(name="'a b'", tag="tag", **parts)
    subprocess.run(["/bin/sh", "-n", "-c", script], check=True)


@pytest.mark.parametrize(
    ("content", "phase"),
    [
        (
            '{"phase": "ready", "since": 1.5, "pid": 3, "restarts": 0, "message": "", "fingerprint": "f"}',
            "phase=ready\n\n",
        ),
        ('{"phase": "waiting", "message": "a \\"phase\\": b"}', "phase=waiting\n\n"),
        (None, "\n"),
    ],
)
def test_the_phase_has_a_line_of_its_own(content: str | None, phase: str, tmp_path: object) -> None:
    """What is printed after it must not run into it: the file ends without a newline."""
    shell = readiness.phase("demo").replace("/run/vllm/demo", str(tmp_path))
    if content:
        with open(f"{tmp_path}/state.json", "w") as file:
            file.write(content)
    printed = subprocess.run(
        ["/bin/sh", "-c", f"{shell}; echo next"], capture_output=True, text=True, check=True
    ).stdout
    rows = [row for row in printed.splitlines() if row]
    assert rows == [row for row in [*phase.split(), "next"] if row]
