"""What would be waited for without limit."""

from __future__ import annotations

import threading

import pytest
from paramiko.ssh_exception import NoValidConnectionsError, ProxyCommandFailure

from provisioning.transport.limits import reason, within


def test_what_ends_in_time_ends_as_it_does() -> None:
    within(60, lambda: None)
    with pytest.raises(KeyError):
        within(60, lambda: {}["no such key"])


def test_what_hangs_is_left_behind() -> None:
    with pytest.raises(TimeoutError, match="within 0 s"):
        within(0.1, threading.Event().wait)


def test_a_limit_that_has_passed_is_named() -> None:
    assert reason(TimeoutError("timed out"), 10) == "No answer within 10 s (connect_timeout)."
    assert reason(ConnectionRefusedError("refused"), 10) == "refused"
    assert reason(EOFError(), 10) == "EOFError"
    assert reason(ProxyCommandFailure("sshpass -p hunter2 ssh jump", "Broken pipe"), 10).endswith("ended: Broken pipe")
    refused, none = ConnectionRefusedError(111, "Connection refused"), OSError(113, "No route to host")
    everywhere = NoValidConnectionsError({("::1", 22): refused, ("127.0.0.1", 22): refused, ("127.0.0.2", 22): none})
    assert reason(everywhere, 10) == "Connection refused; No route to host"
