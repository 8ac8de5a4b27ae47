"""What makes a job the same job, and how its log is taken from a stream that comes in any pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from provisioning.job import Job, _complete, tail

MARKER = b"\x01job-0123456789"


def test_the_key_is_everything_that_goes_in() -> None:
    job = Job("build", "make", "gcc 12")
    assert job.key == Job("build", "make", "gcc 12").key
    assert len({job.key, Job("build", "make ", "gcc 12").key, Job("build", "make", "gcc 13").key}) == 3
    assert Job("weird", "echo \udc80").key


def test_the_folder() -> None:
    assert Job("vllm", "").folder == "/var/lib/vllm-provisioning/jobs/vllm"


@given(st.binary(max_size=200).filter(lambda log: MARKER not in log), st.lists(st.integers(1, 9), max_size=60))
def test_the_log_is_all_before_the_marker_however_it_is_cut(log: bytes, cuts: list[int]) -> None:
    """What may be the marker's beginning is held back until it is sure."""
    stream = log + MARKER + b" 0\n"
    pieces, start = [], 0
    for cut in cuts:
        pieces.append(stream[start : start + cut])
        start += cut
    pieces.append(stream[start:])
    received, taken = bytearray(), b""
    for piece in pieces:
        received.extend(piece)
        sure = _complete(received, MARKER)
        taken += received[:sure]
        del received[:sure]
    assert taken == log
    assert received == MARKER + b" 0\n"


def test_tail() -> None:
    assert tail("1\n2\n3\n\n", 2) == "2\n3"
    assert tail("", 2) == ""
