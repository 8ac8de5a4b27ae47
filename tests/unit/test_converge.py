"""What a run says of its hosts, and with which code it ends."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import tenacity

from provisioning import retry
from provisioning.commands import as_object
from provisioning.converge import Looked, differences
from provisioning.errors import (
    CommandError,
    ConnectionLostError,
    ExitCode,
    IncompatibleError,
    LockedError,
    ProvisioningError,
    UnreachableError,
)
from provisioning.fleet import exit_code
from provisioning.host import END, RUN
from provisioning.lock import Lock
from provisioning.outcome import Change, Outcome
from provisioning.resources import Difference, Directory
from provisioning.retry import connecting, connecting_again, following


def outcome(error: ProvisioningError | None = None, *changes: Change) -> Outcome:
    return Outcome("web1", "failed" if error else "ok", list(changes), error)


@pytest.mark.parametrize(
    ("errors", "code"),
    [
        ([None, None], ExitCode.OK),
        ([], ExitCode.OK),
        ([None, UnreachableError("a")], ExitCode.UNREACHABLE),
        ([UnreachableError("a"), UnreachableError("b")], ExitCode.UNREACHABLE),
        ([LockedError("a"), None], ExitCode.LOCKED),
        ([IncompatibleError("a")], ExitCode.INCOMPATIBLE),
        ([UnreachableError("a"), CommandError("b")], ExitCode.FAILED),
        ([LockedError("a"), UnreachableError("b")], ExitCode.FAILED),
    ],
)
def test_the_exit_code(errors: list[ProvisioningError | None], code: ExitCode) -> None:
    assert exit_code([outcome(error) for error in errors]) == code


def test_json() -> None:
    one = outcome(CommandError("it failed", cause="天", remedy="mend it"), Change("system", "file /a", "+x"))
    assert json.loads(json.dumps(as_object(one))) == {
        "status": "failed",
        "changes": [{"step": "system", "resource": "file /a", "diff": "+x"}],
        "error": "it failed\n天\nmend it",
    }


def test_what_does_not_differ_is_no_change() -> None:
    looked = [
        Looked("system", Directory("/a"), "", None),
        Looked("system", Directory("/b"), "", Difference("made")),
    ]
    assert differences(looked) == [Change("system", "directory /b", "made")]


@dataclass
class Line:
    connections: int = 1


@dataclass
class Named:
    name: str = "web1"
    transport: Line = field(default_factory=Line)


def test_a_lock_goes_with_its_connection() -> None:
    host: Any = Named()
    lock = Lock(host)
    lock.require()
    host.transport.connections += 1
    with pytest.raises(UnreachableError) as caught:
        lock.require()
    assert caught.value.retryable


# Retries


def attempts(error: Exception, times: int = 4) -> tuple[int, list[float]]:
    waits: list[float] = []
    count = 0
    policy = connecting(times).copy(sleep=waits.append)

    def fail() -> None:
        nonlocal count
        count += 1
        raise error

    with pytest.raises(type(error)):
        policy(fail)
    return count, waits


def test_only_what_can_pass_is_tried_again() -> None:
    assert attempts(UnreachableError("refused", retryable=True))[0] == 4
    for error in (UnreachableError("wrong key"), CommandError("failed"), ValueError("a mistake")):
        assert attempts(error) == (1, [])


def test_waits_grow_and_have_a_bound() -> None:
    means = [0.0] * 7
    for _ in range(200):
        _, waits = attempts(UnreachableError("refused", retryable=True), 8)
        assert all(1 <= wait <= 15 for wait in waits)
        means = [mean + wait / 200 for mean, wait in zip(means, waits, strict=True)]
    assert means[1] < means[2] < means[3] < means[4]


def test_who_gives_up_says_so_to_all_around() -> None:
    """A host that stays away is tried by one policy: attempts do not multiply."""
    count, losses = 0, 0

    def lose() -> None:
        nonlocal losses
        losses += 1
        inner.copy(sleep=lambda _: None)(fail)

    def fail() -> None:
        nonlocal count
        count += 1
        raise ConnectionLostError("gone")

    inner, job, outer = connecting(3), following(4, lambda: 0), connecting(5)
    with pytest.raises(ConnectionLostError) as caught:
        outer(job, lose)
    assert (count, losses, caught.value.retryable) == (3, 1, False)


def test_a_host_that_was_there_is_looked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that moves while it waits."""
    assert 60 <= retry.AWAY <= 150, "a couple of minutes"
    waits: list[float] = []
    monkeypatch.setattr(tenacity, "time", SimpleNamespace(monotonic=lambda: sum(waits)))

    def away() -> None:
        raise UnreachableError("refused", retryable=True)

    with pytest.raises(UnreachableError):
        connecting_again().copy(sleep=waits.append)(away)
    assert sum(waits[:-1]) < retry.AWAY <= sum(waits)


def test_a_line_that_breaks_is_followed_as_long_as_anything_comes() -> None:
    signs = [1, 2, 3, 3, 4, 4, 4, 4, 4]
    seen: list[int] = []

    def lose() -> None:
        seen.append(signs[len(seen)])
        raise ConnectionLostError("lost")

    with pytest.raises(ConnectionLostError):
        following(3, lambda: seen[-1] if seen else 0).copy(sleep=lambda _: None)(lose)
    assert seen == [1, 2, 3, 3, 4, 4, 4], "three without a sign: the one that brought the last, and two more"


# What reaches a host in part


def test_a_script_that_arrived_in_part_is_not_run() -> None:
    """A line that breaks while a script is sent would else run what came: `rm -rf /srv/old` cut after `/srv`."""
    import subprocess

    script = "echo ran; echo 天; rm -rf /nowhere/at/all\n" + "# long\n" * 20 + END
    encoded = script.encode()
    for length in [*range(0, len(encoded), 11), len(encoded) - 1]:
        cut = subprocess.run(["/bin/sh", "-c", RUN], input=encoded[:length], capture_output=True, check=False)
        assert cut.stdout == b"", length
        assert cut.returncode == 255
    whole = subprocess.run(["/bin/sh", "-c", RUN], input=encoded, capture_output=True, check=False)
    assert (whole.returncode, whole.stdout) == (0, "ran\n天\n".encode())
