"""ModelScope's package on a host: its environment, and what its failures mean."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from provisioning.templates import FOLDER

sys.path.insert(0, str(FOLDER))

import modelscope_package


def test_what_failures_mean() -> None:
    failure = modelscope_package.failure
    assert isinstance(failure("OSError: [Errno 28] No space left on device"), OSError)
    assert type(failure("Failed\n[E3002] [403] denied")).__name__ == "Unavailable"
    assert str(failure("one\n[E1020] Connection failed\ntwo")) == "[E1020] Connection failed"
    assert type(failure("")).__name__ == "Transient"


def test_the_environment_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    uv = tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text(
        '#!/bin/sh\necho "$*" >>~/uv.log\n[ "$1" = pip ] || { mkdir -p "$5/bin" && ln -s /bin/true "$5/bin/python"; }\n'
    )
    uv.chmod(0o755)
    assert modelscope_package.environment() == modelscope_package.environment()
    assert len((tmp_path / "uv.log").read_text().splitlines()) == 2
    uv.write_text("#!/bin/sh\necho 'No solution found: there is no such version' >&2\nexit 1\n")
    monkeypatch.setattr(modelscope_package, "PACKAGES", ("modelscope==0.0.1",))
    with pytest.raises(modelscope_package.Unavailable, match=r"modelscope==0\.0\.1 cannot be installed: No solution"):
        modelscope_package.environment()
