"""What a running vLLM says of its requests and tokens, and how fast they come.

Standard library only, Python 3.9 and later: the system's interpreter runs it, not the environment's.
"""

from __future__ import annotations

import math
import re
import time
from typing import Any

# As vLLM's releases name them (vllm/engine/metrics.py, vllm/v1/metrics/loggers.py); their labels differ.
COUNTERS = {
    "requests": "vllm:request_success_total",
    "prompt_tokens": "vllm:prompt_tokens_total",
    "generation_tokens": "vllm:generation_tokens_total",
}
GAUGES = {"running": "vllm:num_requests_running", "waiting": "vllm:num_requests_waiting"}
CACHE = ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc")  # the second up to 0.9, on CPUs too
UNFINISHED = ('finished_reason="abort"', 'finished_reason="error"')
OWN = {"requests": 1, "prompt_tokens": 1, "generation_tokens": 1}  # what one question of the watch adds
LINE = re.compile(r"^(?P<name>vllm:\w+)(?:\{(?P<labels>.*)\})? (?P<value>[-+.\w]+)(?: \d+)?$", re.MULTILINE)


def read(text: str) -> dict[str, float]:
    """The numbers in the text of /metrics: those that this release has, of all engines together."""
    found: dict[str, float] = {}
    names = {name: key for key, name in {**COUNTERS, **GAUGES}.items()}
    for line in LINE.finditer(text):
        name, value = line["name"], _number(line["value"])
        if name in CACHE:
            found["kv_cache"] = max(found.get("kv_cache", 0.0), value)
        elif name in names and not any(reason in (line["labels"] or "") for reason in UNFINISHED):
            found[names[name]] = found.get(names[name], 0.0) + value
    return found


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if math.isfinite(value) else 0.0  # NaN: a gauge that was never set


class Traffic:
    """Requests and tokens of other people: what the watch has asked for itself is left out."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}
        self._at = 0.0

    def sample(self, text: str, own: int, clock: float) -> dict[str, Any]:
        """What metrics.json holds: totals since the server started, and rates since the sample before.

        `own`: questions of the watch that were answered so far; `clock`: seconds.
        """
        now = read(text)
        for key in COUNTERS.keys() & now.keys():
            now[key] = max(0.0, now[key] - own * OWN[key])
        sample: dict[str, Any] = {**now, "at": time.time()}
        if self._last and clock > self._at:
            seconds = clock - self._at
            known = COUNTERS.keys() & now.keys() & self._last.keys()
            # Not below 0: an answer to the watch may be counted here a moment before or after it is there.
            rates = {key: max(0.0, now[key] - self._last[key]) / seconds for key in known}
            sample.update(seconds=seconds, per_second=rates)
        self._last, self._at = now, clock
        return sample
