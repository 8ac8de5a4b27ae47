"""This machine: commands are processes, in a session of their own so that Ctrl-C does not cut them in the middle."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from provisioning.errors import CommandError
from provisioning.transport.base import Completed, OnOutput, Stream


class _HeldProcess:
    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def lines(self) -> Iterator[str]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            yield line.decode(errors="replace").rstrip("\n")

    def write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(data)
        self._process.stdin.flush()

    def read(self) -> bytes:
        assert self._process.stdout is not None
        chunk: bytes = self._process.stdout.read1(65536)  # type: ignore[attr-defined]
        return chunk

    def finish(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()


class LocalTransport:
    """Runs commands on the machine that this program runs on."""

    connections = 0

    def execute(
        self, command: str, stdin: Iterable[bytes], *, timeout: float | None = None, on_output: OnOutput | None = None
    ) -> Completed:
        """Run `command`; see `Transport.execute`."""
        process = _start(command)
        silence = _Silence(process, timeout)
        errors: list[bytes] = []
        assert process.stdout is not None
        reader = threading.Thread(target=_collect, args=(process, errors), daemon=True)
        reader.start()
        _feed(process, stdin)
        output: list[bytes] = []
        try:
            while chunk := process.stdout.read1(65536):  # type: ignore[attr-defined]
                silence.broken()
                (on_output or output.append)(chunk)
        finally:
            silence.stop()
        reader.join()
        exit_code = process.wait()
        if silence.passed:
            raise CommandError("the command gave no sign of life", cause=f"nothing for {timeout:.0f} s")
        return Completed(exit_code, b"".join(output), b"".join(errors))

    @contextmanager
    def hold(self, command: str, stdin: bytes, *, silence: float | None = None) -> Iterator[_HeldProcess]:
        """Keep `command` running; see `Transport.hold`."""
        process = _start(command)
        assert process.stdin is not None
        try:
            process.stdin.write(stdin)
            process.stdin.flush()
            yield _HeldProcess(process)
        finally:
            _end(process)

    @contextmanager
    def forward(self, address: str, port: int, local_port: int = 0) -> Iterator[str]:
        """Give the place itself: it is on this machine already. See `Transport.forward`."""
        socket.create_connection((address, port), timeout=30).close()
        yield f"[{address}]:{port}" if ":" in address else f"{address}:{port}"

    def dial(self, address: str, port: int) -> Stream:
        """Connect to there; see `Transport.dial`."""
        return socket.create_connection((address, port), timeout=30)

    @contextmanager
    def listen(self, take: Callable[[Stream], None]) -> Iterator[int]:
        """Listen on this machine's loopback; see `Transport.listen`."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            threading.Thread(target=_accept, args=(listener, take), daemon=True).start()
            try:
                yield int(listener.getsockname()[1])
            finally:
                with suppress(OSError):
                    listener.shutdown(socket.SHUT_RDWR)

    def reached(self) -> None:
        """Nowhere else than here."""

    def close(self) -> None:
        """Nothing is kept open."""


class _Silence:
    """Kills a process that writes nothing for `timeout` seconds."""

    def __init__(self, process: subprocess.Popen[bytes], timeout: float | None) -> None:
        self.passed = False
        self._process = process
        self._timeout = timeout
        self._timer: threading.Timer | None = None
        self.broken()

    def broken(self) -> None:
        self.stop()
        if self._timeout is not None:
            self._timer = threading.Timer(self._timeout, self._expire)
            self._timer.daemon = True
            self._timer.start()

    def stop(self) -> None:
        if self._timer:
            self._timer.cancel()

    def _expire(self) -> None:
        self.passed = True
        # All of its session: a child that lives on would keep the output open.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)


def _start(command: str) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    return subprocess.Popen(
        ["/bin/sh", "-c", command], stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True, cwd="/"
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Close its standard input, and end it where that does not."""
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.close()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.terminate()
        process.wait()


def _accept(listener: socket.socket, take: Callable[[Stream], None]) -> None:
    while True:
        try:
            take(listener.accept()[0])
        except OSError:
            return


def _feed(process: subprocess.Popen[bytes], stdin: Iterable[bytes]) -> None:
    assert process.stdin is not None
    try:
        for piece in stdin:
            process.stdin.write(piece)
        process.stdin.close()
    except BrokenPipeError:
        pass  # it ended without reading all; its exit code and its words say why


def _collect(process: subprocess.Popen[bytes], errors: list[bytes]) -> None:
    assert process.stderr is not None
    errors.append(process.stderr.read())
