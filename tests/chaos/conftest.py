"""The hosts that rounds begin with."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from hosts.conftest import _factory, machine, ssh_key
from hosts.controller import Controller

from . import world
from .rounds import Start, begin

__all__ = ["machine", "ssh_key"]


@pytest.fixture(scope="session")
def starts(ssh_key: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Start]]:
    """Give hosts in earlier states: never provisioned, and serving by earlier settings."""
    folder = tmp_path_factory.mktemp("starts")
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        make = _factory(ssh_key, stack)
        bare = world.bare(make, folder / "wheels")
        meanwhile = pool.submit(begin, bare, make, folder / "bare")
        served = make("bookworm", like=bare, isolated=True)
        Controller(folder / "first").manage(served, **world.settings("first")).succeed("serve")
        served.shutdown()
        yield {"served": begin(served, make, folder / "served"), "bare": meanwhile.result()}
