"""Tokens per second of the tutorial's plain command and of our unit, in turn, on this machine.

    python -m benchmarks.serving.benchmark --python ENVIRONMENT/bin/python [--rounds 8] [--dtype bfloat16]

Both serve the same model with the same arguments; only the environment differs, and that serve.py starts ours, as the
unit does. Both run throughout and are asked in turn, seconds apart, so that other work on the machine meets both; who
is not asked sleeps. Of each the best round counts (the one least disturbed), and the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from provisioning import tuning

HERE = Path(__file__).parent
SERVE = HERE.parents[1] / "provisioning/templates/serve.py"
CONCURRENCY = (1, 8)
Results = dict[str, dict[int, list[float]]]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--python", required=True, help="interpreter of an environment with vLLM")
    parser.add_argument("--model", type=Path, help="model folder; made where it is missing")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--rounds", type=int, default=8, help="times that each of the two is asked")
    parser.add_argument("--tokens", type=int, default=64, help="tokens of each answer")
    parser.add_argument("--port", type=int, default=18130, help="the first of two ports")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="more environment for ours")
    parser.add_argument("--logs", type=Path, default=Path(tempfile.gettempdir()), help="folder for the servers' logs")
    parser.add_argument("--results", type=Path, default=HERE / "results.json")
    return parser.parse_args()


def our_environment(options: argparse.Namespace, command: list[str], url: str, state: str) -> dict[str, str]:
    """What the service's environment file holds."""
    rows = subprocess.run(["lscpu", "-p=CPU,CORE,SOCKET,NODE"], check=True, capture_output=True, text=True).stdout
    topology = [tuple(int(field or 0) for field in row.split(",")[:4]) for row in rows.split() if row[:1].isdigit()]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    root = Path(options.python).parents[1]
    values = {
        "VLLM_PYTHON": options.python,
        "VLLM_ARGUMENTS": json.dumps(command[3:]),
        "VLLM_URL": url,
        "VLLM_SERVED_MODEL": "benchmark",
        "VLLM_STATE_DIRECTORY": state,
        "VLLM_CPU_KVCACHE_SPACE": str(min(4, tuning.kv_cache_gib(memory, 1))),
        "VLLM_CPU_OMP_THREADS_BIND": tuning.threads_bind(topology, len(topology), tuning.Placement()),
        "VLLM_PRELOAD": ":".join(tuning.preload(platform.machine(), str(root))),
    }
    return values | dict(pair.split("=", 1) for pair in options.set)


@contextmanager
def server(options: argparse.Namespace, who: str, port: int) -> Iterator[str]:
    """The server of `who`, from its first token to its end."""
    url = f"http://127.0.0.1:{port}"
    command = [options.python, "-m", "vllm.entrypoints.openai.api_server", "--model", str(options.model)]
    command += ["--served-model-name", "benchmark", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--dtype", options.dtype, "--max-model-len", "2048"]
    environment = dict(os.environ)
    with tempfile.TemporaryDirectory() as state, Path(options.logs, f"{who}.log").open("w") as log:
        if who == "ours":
            environment |= our_environment(options, command, url, state)
            command = ["/usr/bin/python3", "-I", str(SERVE), "benchmark"]
        else:
            environment["VLLM_CPU_KVCACHE_SPACE"] = "4"  # without it vLLM 0.32 wants nine tenths of the memory
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            wait_for_token(url, process)
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(40)
            finally:
                end_session(process.pid)


def end_session(leader: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def wait_for_token(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 1800  # the first start compiles
    while True:
        try:
            generate(url, 1)
            return
        except (OSError, urllib.error.HTTPError):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server ended with {process.poll()}; see its log") from None
            time.sleep(1)


def generate(url: str, tokens: int) -> None:
    body = {"model": "benchmark", "prompt": list(range(100, 132)), "max_tokens": tokens, "temperature": 0}
    data = json.dumps({**body, "ignore_eos": True}).encode()
    request = urllib.request.Request(f"{url}/v1/completions", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=600) as answer:
        if json.load(answer)["usage"]["completion_tokens"] != tokens:
            raise RuntimeError("an answer is shorter than asked for")


def tokens_per_second(url: str, concurrency: int, tokens: int) -> float:
    threads = [threading.Thread(target=generate, args=(url, tokens), daemon=True) for _ in range(concurrency)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return concurrency * tokens / (time.monotonic() - began)


def measure(options: argparse.Namespace, urls: dict[str, str]) -> Results:
    """The speed of each at each concurrency, round by round."""
    for url in urls.values():
        tokens_per_second(url, max(CONCURRENCY), 16)
    results: Results = {who: {concurrency: [] for concurrency in CONCURRENCY} for who in urls}
    for _ in range(options.rounds):
        for concurrency in CONCURRENCY:
            for who, url in urls.items():
                time.sleep(2)  # until the one asked before sleeps
                results[who][concurrency].append(tokens_per_second(url, concurrency, options.tokens))
                print(f"{who:6}{concurrency:2}{results[who][concurrency][-1]:8.1f} tokens/s", flush=True)
    return results


def cpu_name() -> str:
    name = [row for row in Path("/proc/cpuinfo").read_text().splitlines() if row.startswith(("model name", "flags"))]
    flags = name[1].split() if len(name) > 1 else []
    best = [flag for flag in ("amx_bf16", "avx512_bf16", "avx512f", "avx2") if flag in flags][:1]
    return f"{name[0].partition(':')[2].strip()}, {os.cpu_count()} cores, {' '.join(best)}"


def table(results: Results) -> str:
    """The figures as a table for the README."""
    lines = ["| requests at once | plain command, tokens/s | our unit, tokens/s | ratio of the best | median ratio |"]
    lines.append("|---|---|---|---|---|")
    for concurrency in CONCURRENCY:
        plain, ours = results["plain"][concurrency], results["ours"][concurrency]
        median = statistics.median(mine / theirs for mine, theirs in zip(ours, plain, strict=True))
        best = max(ours) / max(plain)
        lines.append(f"| {concurrency} | {max(plain):.1f} | {max(ours):.1f} | {best:.2f} | {median:.2f} |")
    return "\n".join(lines)


def on_sigterm(number: int, frame: FrameType | None) -> None:
    """End once, and the servers with us: `timeout` signals twice, and the second must not interrupt their stopping."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(1)


def main() -> int:
    signal.signal(signal.SIGTERM, on_sigterm)
    options = arguments()
    options.model = options.model or Path(tempfile.gettempdir()) / "vllm-benchmark-model"
    if not (options.model / "config.json").exists():
        subprocess.run([options.python, HERE / "make_model.py", options.model], check=True)
    began = os.getloadavg()[0]
    with server(options, "plain", options.port) as plain, server(options, "ours", options.port + 1) as ours:
        results = measure(options, {"plain": plain, "ours": ours})
    load = f"{began:.1f} before, {os.getloadavg()[0]:.1f} after"
    kept = {"cpu": cpu_name(), "dtype": options.dtype, "tokens": options.tokens, "load": load}
    options.results.write_text(json.dumps({**kept, "tokens_per_second": results}, indent=2) + "\n")
    print(f"\n{cpu_name()}, {options.dtype}, {options.rounds} rounds, load {load}\n\n{table(results)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
