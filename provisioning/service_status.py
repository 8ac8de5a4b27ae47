"""How a service fares: what its supervisor, serve.py and vLLM's counters say of it. Read from the host, never asked
of the engine: a hung one holds nobody up.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields
from typing import Any

from provisioning.figures import printable
from provisioning.host import quote
from provisioning.readiness import SERVING
from provisioning.resources.chat_page import ChatPage
from provisioning.resources.service import ABSENT, probed_state

MOST = 100_000
"""Bytes that are read of a file of the service's."""
STALE = 30
"""Seconds after which a sample of counters says nothing of now; serve.py takes one every five."""

# The cgroup counts what the service keeps in the page cache too. Without systemd: the resident memory of all that
# descends from vLLM's API server, which leads a session of its own.
_MEMORY = """
memory=$(systemctl show {unit} -p MemoryCurrent --value 2>/dev/null)
case $memory in
    '' | *[!0-9]*)
        leader=$([ ! -f {folder}/state.json ] || sed -n 's/.*"pid": \\([0-9]*\\).*/\\1/p' {folder}/state.json)
        cat /proc/[0-9]*/stat 2>/dev/null | awk -v leader="${{leader:-0}}" -v page="$(getconf PAGESIZE)" '
            {{ sub(/^.*\\) /, "") }}
            $4 == leader {{ sum += $22 }}
            END {{ if (leader && sum) printf "%.0f\\n", sum * page }}' ;;
    *) echo "$memory" ;;
esac
"""


@dataclass(frozen=True)
class ServiceStatus:
    """One service of a host, as `status --json` shows it; None is what is not known.

    Requests and tokens are people's: those that serve.py asks for itself are left out.
    """

    name: str
    active: str
    """As systemd names it; `absent` where the supervisor does not know the service."""
    phase: str
    since: float | None
    """When the phase began, in seconds since 1970 by the host's clock."""
    restarts: int
    """Failed attempts before this one, in this series of attempts."""
    message: str
    url: str
    model: str
    vllm_version: str | None
    uptime_seconds: float | None
    """Since vLLM's process was started."""
    memory_bytes: int | None
    requests_running: int | None
    requests_waiting: int | None
    kv_cache_usage: float | None
    """The share that is in use, 0 to 1."""
    requests_total: int | None
    """Requests that were answered since vLLM's process was started."""
    prompt_tokens_total: int | None
    generation_tokens_total: int | None
    requests_per_second: float | None
    prompt_tokens_per_second: float | None
    generation_tokens_per_second: float | None
    rate_period_seconds: float | None
    """The period of those three: between the last two looks of serve.py."""

    @property
    def serves(self) -> bool:
        """Whether requests are answered."""
        return self.phase in SERVING


def details(service: str) -> str:
    """Give shell that prints the clock, state.json, metrics.json and bytes of memory, on a line each."""
    folder = quote(f"/run/vllm/{service}")
    show = f"[ ! -f {folder}/$file.json ] || head -c {MOST} {folder}/$file.json 2>/dev/null"
    files = f"for file in state metrics; do {show}; echo; done"
    return f"date +%s.%N; {files}; {_MEMORY.format(unit=quote(f'vllm@{service}.service'), folder=folder)}:"


def parse(name: str, url: str, model: str, probed: str, detailed: str) -> ServiceStatus:
    """Make a status of what a service's probe and `details` printed; `model` is the inventory's."""
    active = probed_state(probed).get("active", ABSENT)
    clock, state_text, metrics_text, memory, *_ = [*detailed.split("\n"), "", "", "", ""]
    running = active in ("active", "activating")
    now, state = _number(clock), _object(state_text)
    idle = "stopping" if active == "deactivating" else "stopped"
    phase = (_text(state.get("phase")) or "not started") if running else idle
    sample = _object(metrics_text) if phase in SERVING else {}
    if now is None or now - (_number(sample.get("at")) or 0) > STALE:
        sample = {}
    per_second = sample.get("per_second")
    rates = per_second if isinstance(per_second, dict) else {}
    started = _number(state.get("started"))
    there = running and phase not in ("stopping", "stopped", "waiting")
    return ServiceStatus(
        name=name,
        active=active,
        phase=phase,
        since=_number(state.get("since")) if running else None,
        restarts=_whole(state.get("restarts")) or 0,
        message=_text(state.get("message")),
        url=url,
        model=(_text(state.get("model")) if running else "") or model,
        vllm_version=(_text(state.get("vllm")) if there else "") or None,
        uptime_seconds=max(0.0, now - started) if there and now and started else None,
        memory_bytes=_whole(memory) if there else None,
        requests_running=_whole(sample.get("running")),
        requests_waiting=_whole(sample.get("waiting")),
        kv_cache_usage=_number(sample.get("kv_cache")),
        requests_total=_whole(sample.get("requests")),
        prompt_tokens_total=_whole(sample.get("prompt_tokens")),
        generation_tokens_total=_whole(sample.get("generation_tokens")),
        requests_per_second=_number(rates.get("requests")),
        prompt_tokens_per_second=_number(rates.get("prompt_tokens")),
        generation_tokens_per_second=_number(rates.get("generation_tokens")),
        rate_period_seconds=_number(sample.get("seconds")),
    )


def parse_page(page: ChatPage, probed: str, detailed: str) -> ServiceStatus:
    """Make a status of the chat page, which is no server of vLLM's: most of that is not known of it."""
    found = probed_state(probed)
    running = found.get("active") in ("active", "activating")
    phase = "ready" if page.serves(found) else "starting" if running else "stopped"
    known: dict[str, Any] = {each.name: None for each in fields(ServiceStatus) if "None" in str(each.type)}
    known["memory_bytes"] = _whole(detailed) if running else None
    return ServiceStatus(
        **known,
        name=page.service,
        active=found.get("active", ABSENT),
        phase=phase,
        restarts=0,
        message="",
        url=page.url,
        model="",
    )


# The account that serves owns these files: a value may be anything.


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(given: Any) -> str:
    return printable(given) if isinstance(given, str) else ""


def _number(given: Any) -> float | None:
    try:
        number = math.nan if isinstance(given, bool) else float(given)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _whole(given: Any) -> int | None:
    # systemd's "not set" was the largest number of 64 bits once.
    number = _number(given)
    return None if number is None or abs(number) >= 2**63 else round(number)
