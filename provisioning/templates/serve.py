"""Run one vLLM API server for a supervisor (systemd, supervisord), and end when it no longer serves.

    /usr/bin/python3 -I serve.py NAME

The environment brings VLLM_PYTHON (interpreter), VLLM_ARGUMENTS (JSON list), VLLM_URL, VLLM_SERVED_MODEL, optionally
VLLM_API_KEY_FILE, VLLM_PRELOAD (libraries, colons between), VLLM_FINGERPRINT, VLLM_STATE_DIRECTORY, and in seconds
HEALTH_INTERVAL, HEALTH_HANG_TIMEOUT, HEALTH_BUSY_TIMEOUT, HEALTH_START_TIMEOUT. The rest passes on to vLLM.

Ready means: process alive, /health 200, the model listed, one token generated. From then on a look at every interval
tells whether tokens are made, anybody's. Without a token and without work on one for the hang timeout, or without a
token for the busy timeout however busy, the server is hung: it is killed, and the supervisor starts it anew.

Attempts are counted in a series, in the state directory. Before the n-th this program waits min(2^(n-1), 300) s, 0 for
the first; after the tenth it gives up. A series ends when the server has served for ten minutes, when it is stopped
by SIGTERM (`systemctl stop` and `restart`, `supervisorctl stop`), and when it is given up. So an explicit start counts
anew under every supervisor, and a crash does not, whatever killed this program.

Exit codes: 0 stopped by SIGTERM; 69 the server ended or was lost; 75 it hung; 78 wrong configuration, or given up
after ten attempts. The supervisor restarts after all but 0 and 78.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from provisioning.templates import serve_config as config
    from provisioning.templates import serve_health as health
    from provisioning.templates import serve_metrics as metrics
    from provisioning.templates import serve_process as process
    from provisioning.templates import serve_state as record
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # -I leaves it out; the directory is root's
    import serve_config as config
    import serve_health as health
    import serve_metrics as metrics
    import serve_process as process
    import serve_state as record

LOST, HUNG, CONFIGURATION = 69, 75, 78
ATTEMPTS, SERVED_WELL = 10, 600  # seconds of service that end a series of attempts
STOP_TIMEOUT = 20  # seconds for a clean shutdown
START_HANG_TIMEOUT, START_LOOK = 120, 10  # seconds
START_SHARE = 0.03  # of the time that some thread runs: less is no start, but waiting for something that never comes


class Stop(BaseException):
    """SIGTERM: the supervisor wants the service stopped."""


class Failure(Exception):  # noqa: N818 - what the service came to, not what went wrong in this program
    """The server cannot go on; `code` is the exit code that says why."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def check_port(url: str) -> None:
    """Refuse to start beside another server, whose answers would be taken for ours."""
    parts = urlsplit(url)
    family = socket.AF_INET6 if ":" in (parts.hostname or "") else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((parts.hostname, parts.port))
        except OSError as error:
            raise Failure(LOST, f"cannot listen on {parts.netloc}: {error.strerror}") from error


class Service:
    """One attempt, from the wait before it to the failure that ends it."""

    def __init__(self, state: record.State, settings: config.Settings) -> None:
        self.state, self.settings = state, settings
        self.server = health.Server(settings.url, settings.model, settings.api_key)
        self.child: process.Child | None = None

    def run(self) -> None:
        """Wait, start, watch; returns only by an exception."""
        self.wait()
        child = self.start()
        self.until_ready(child)
        record.notify("READY=1")
        try:
            self.watch(child)
        except ConnectionRefusedError as error:
            self.pause(child, 1)  # where it has ended, that is the better word
            raise Failure(LOST, f"{error}, after it was ready") from error

    def wait(self) -> None:
        """Count this attempt before it is made, so that no way of dying goes uncounted, and wait for its turn."""
        attempt = sum(self.state.read("attempts")) + 1
        if attempt > ATTEMPTS:
            self.state.write("attempts", "0")
            raise Failure(CONFIGURATION, f"given up after {ATTEMPTS} attempts; the log says why each failed")
        self.state.write("attempts", str(attempt))
        self.state.restarts = attempt - 1
        delay = health.wait_before(attempt)
        if delay:
            self.state.enter("waiting", f"attempt {attempt} of {ATTEMPTS} in {delay:.0f} s")
            time.sleep(delay)

    def start(self) -> process.Child:
        """Start vLLM, after whatever a killed predecessor of this program left."""
        left = self.state.read("session")
        if len(left) == 2:
            process.end_session(*left)
        check_port(self.server.url)
        try:
            self.child = process.Child(self.settings.command, config.environment(os.environ, self.settings.api_key))
        except OSError as error:
            raise Failure(LOST, f"cannot start {self.settings.command[0]}: {error.strerror}") from error
        self.state.pid = self.child.pid
        self.state.server = {"model": self.settings.model, "started": time.time()}
        self.state.measured({})
        self.state.write("session", f"{self.child.pid} {self.child.started}")
        self.state.enter("starting")
        return self.child

    def until_ready(self, child: process.Child) -> None:
        """Until the first token, as long as something happens."""
        question = health.Question(lambda: self.server.first_token(self.settings.hang_timeout))
        watch = health.Watch(START_HANG_TIMEOUT, self.settings.start_timeout, 2 * START_LOOK)
        looked, used = time.monotonic(), process.usage(process.descendants())
        wait = 0.1  # and longer and longer: what starts at once is ready at once
        while not question.take():
            if isinstance(question.error, health.WrongModelError):
                raise Failure(CONFIGURATION, str(question.error))
            question.put()
            self.pause(child, wait)
            wait = min(1, 1.5 * wait)
            elapsed = time.monotonic() - looked
            if elapsed >= START_LOOK:
                before, looked, used = used, time.monotonic(), process.usage(process.descendants())
                working = used.busy_since(before, elapsed, START_SHARE)
                if watch.look(elapsed, asked=True, progress=False, working=working) == "hung":
                    raise Failure(HUNG, f"{watch.reason()}, while starting: {question.error}")
        self.state.server["vllm"] = self.server.version()
        self.state.enter("ready")

    def watch(self, child: process.Child) -> None:
        """Look again and again, for as long as it serves. A token of our own is asked for where no other is made."""
        settings = self.settings
        question = health.Question(lambda: self.server.token(settings.busy_timeout))
        watch = health.Watch(settings.hang_timeout, settings.busy_timeout, 2 * settings.look)
        served_since = moved_at = looked = time.monotonic()
        counted, used = self.server.progress(), process.usage(child.engine())
        traffic = metrics.Traffic()
        traffic.sample(self.server.metrics, self.server.tokens, looked)
        while True:
            self.pause(child, settings.look)
            then, counted_then, used_then, asked = looked, counted, used, question.open
            looked, counted, used = time.monotonic(), self.server.progress(), process.usage(child.engine())
            if self.server.metrics:
                self.state.measured(traffic.sample(self.server.metrics, self.server.tokens, looked))
            progress = question.take() or (counted is not None and counted != counted_then)
            working = used.busy_since(used_then, looked - then)
            verdict = watch.look(looked - then, asked=asked, progress=progress, working=working)
            if verdict == "hung":
                self.state.enter("hung", watch.reason())
                raise Failure(HUNG, watch.reason())
            if verdict != "quiet":
                self.state.enter(verdict)
            if progress:
                moved_at = looked
            elif self.server.silent or looked - moved_at >= settings.interval:
                question.put()
            if looked - served_since >= SERVED_WELL:
                self.state.write("attempts", "0")
                served_since = looked

    def pause(self, child: process.Child, length: float) -> None:
        """Let time pass, with an eye on the process and a sign of life for systemd's watchdog."""
        until = time.monotonic() + length
        while True:
            ended = child.ended()
            if ended:
                raise Failure(LOST, f"vLLM ended ({ended})")
            record.notify("WATCHDOG=1")
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(1, left))


def on_signal(number: int, frame: FrameType | None) -> None:
    """Stop once: a second SIGTERM must not interrupt the stopping."""
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, signal.SIG_IGN)
    raise Stop


def main(name: str) -> int:
    """Run the service NAME; returns the exit code."""
    given = os.environ.get("VLLM_STATE_DIRECTORY") or os.environ.get("RUNTIME_DIRECTORY") or f"/run/vllm/{name}"
    state, service, patience = record.State(Path(given)), None, 0.0
    state.directory.mkdir(parents=True, exist_ok=True)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    try:
        service = Service(state, config.read(os.environ))
        service.run()
    except Stop:
        record.notify("STOPPING=1")
        state.enter("stopping")
        state.write("attempts", "0")
        code, message, patience = 0, "asked to", STOP_TIMEOUT
    except config.ConfigurationError as error:
        code, message = CONFIGURATION, str(error)
    except Failure as failure:
        code, message = failure.code, str(failure)
    if service and service.child:
        service.child.stop(patience)
    process.kill(process.descendants())
    state.enter("stopped", message)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
