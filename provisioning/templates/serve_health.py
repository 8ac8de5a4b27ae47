"""What serve.py asks a running vLLM, and what it makes of the answers.

Standard library only, Python 3.9 and later: the system's interpreter runs it, not the environment's.
"""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

PROGRESS_METRICS = (  # each grows while the engine works on requests, and only then
    "vllm:prompt_tokens_total",
    "vllm:generation_tokens_total",
    "vllm:iteration_tokens_total_count",
    "vllm:request_success_total",
)


class WrongModelError(Exception):
    """The server serves, but not what it should: trying again would not help."""


class Watch:
    """Tells ready, busy and hung apart from what was seen at each look. Pure: the caller brings the clock.

    Time counts only while a question is open, since a server that nobody asks need not make tokens, and only as far
    as it was watched (`longest_step`): a suspended laptop does not wake up to the verdict "hung".
    """

    def __init__(self, hang_timeout: float, busy_timeout: float, longest_step: float) -> None:
        self.hang_timeout, self.busy_timeout, self.longest_step = hang_timeout, busy_timeout, longest_step
        self.silent = 0.0  # seconds without a token, anybody's
        self.idle = 0.0  # seconds without a token or a sign of work on one

    def look(self, seconds: float, *, asked: bool, progress: bool, working: bool) -> str:
        """Judge the `seconds` since the look before: was a question open, were tokens made, was there work?"""
        step = min(seconds, self.longest_step) if asked else 0.0
        self.silent = 0.0 if progress else self.silent + step
        self.idle = 0.0 if progress or working else self.idle + step
        if self.idle >= self.hang_timeout or self.silent >= self.busy_timeout:
            return "hung"
        if self.silent <= self.longest_step:
            return "ready"
        return "busy" if working else "quiet"

    def reason(self) -> str:
        """What was seen, for people."""
        if self.idle >= self.hang_timeout:
            return f"no token for {self.silent:.0f} s, and no work on one for {self.idle:.0f} s"
        return f"no token for {self.silent:.0f} s, though its processes work"


def wait_before(attempt: int) -> float:
    """Seconds to wait before an attempt of a series, counted from 1."""
    return 0.0 if attempt <= 1 else float(min(2 ** (attempt - 1), 300))


def total(metrics: str) -> float | None:
    """The sum of all counters that move with tokens; None where there are none (`--disable-log-stats`)."""
    values = [line.rsplit(" ", 1)[1] for line in metrics.splitlines() if line.startswith(PROGRESS_METRICS)]
    return sum(map(float, values)) if values else None


class Server:
    """The server at `url`, asked directly: a proxy for the internet is no way to localhost."""

    def __init__(self, url: str, model: str, key: str = "") -> None:
        self.url, self.model, self.key = url.rstrip("/"), model, key
        self.silent = False  # whether the last look at its counters got no answer
        self.metrics = ""  # what it said at that look
        self.tokens = 0  # questions that it has answered
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(self, path: str, timeout: float, body: dict[str, Any] | None = None) -> str:
        """The answer's text. Raises OSError (HTTPError is one) where there is none, or an error."""
        headers = {"Content-Type": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        request = urllib.request.Request(self.url + path, None if body is None else json.dumps(body).encode(), headers)
        with self._opener.open(request, timeout=timeout) as answer:
            return str(answer.read().decode("utf-8", "replace"))

    def token(self, timeout: float) -> None:
        """Have one token generated: only this proves that the server serves."""
        prompt = [1]  # the token's number: what a text becomes is up to each model's tokenizer
        body = {"model": self.model, "prompt": prompt, "max_tokens": 1, "temperature": 0}
        answer = json.loads(self.ask("/v1/completions", timeout, body))
        if answer["usage"]["completion_tokens"] < 1:
            raise OSError("/v1/completions: the answer holds no token")
        self.tokens += 1

    def first_token(self, timeout: float) -> None:
        """All that ready means."""
        self.ask("/health", timeout)
        models = [model["id"] for model in json.loads(self.ask("/v1/models", timeout))["data"]]
        if self.model not in models:
            raise WrongModelError(f"{self.url} serves {', '.join(models)}, not {self.model}")
        self.token(timeout)

    def version(self) -> str:
        """Its release of vLLM, "" where it does not say."""
        try:
            return str(json.loads(self.ask("/version", 3))["version"])
        except (OSError, ValueError, LookupError, TypeError):
            return ""

    def progress(self) -> float | None:
        """How far the counters have come, None where the server does not say; ConnectionRefusedError passes."""
        self.silent, self.metrics = False, ""
        try:
            self.metrics = self.ask("/metrics", 3)
            return total(self.metrics)
        except (OSError, ValueError) as error:
            if isinstance(getattr(error, "reason", None), ConnectionRefusedError):
                raise ConnectionRefusedError(f"{self.url} refuses connections") from error
            self.silent = True
            return None


class Question:
    """One question at a time, asked from a thread, so that whoever asks never waits for its answer."""

    def __init__(self, ask: Callable[[], None]) -> None:
        self._ask = ask
        self._thread: threading.Thread | None = None
        self.error: Exception | None = None

    @property
    def open(self) -> bool:
        """Whether an answer is being waited for."""
        return self._thread is not None

    def put(self) -> None:
        """Ask, unless the last question is still open."""
        if not self.open:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()

    def take(self) -> bool:
        """Whether the question got its answer since the last call; `error` says why not, and stays until one comes."""
        if self._thread is None or self._thread.is_alive():
            return False
        self._thread = None
        return self.error is None

    def _run(self) -> None:
        try:
            self._ask()
        except Exception as error:
            self.error = error
        else:
            self.error = None
