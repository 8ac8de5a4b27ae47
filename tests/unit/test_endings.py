"""Who has come to its end while others go on."""

from __future__ import annotations

import pytest

from provisioning import endings
from provisioning.endings import Endings
from provisioning.errors import SkippedError, UnreachableError
from provisioning.outcome import Outcome


def test_endings_are_told_once_when_others_still_work(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    noted = Endings(lambda outcome: told.append(f"{outcome.host} {outcome.status}"))
    with noted.noting(Outcome("a", "changed")):
        pass
    with pytest.raises(UnreachableError), noted.noting(Outcome("b")):
        raise UnreachableError("b: away")
    with pytest.raises(SkippedError), noted.noting(Outcome("c")):
        raise SkippedError("c: not begun")
    noted.tell()
    assert not told, "where all end together, the summary says it"
    monkeypatch.setattr(endings, "PAUSE", 0)
    noted.tell()
    noted.tell()
    assert told == ["a changed", "b unreachable"]
