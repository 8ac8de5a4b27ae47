"""A machine as the program itself sees it: an open connection, with its facts gathered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from provisioning import facts, fleet, inventory
from provisioning.host import Host

from .controller import Controller
from .machine import ADMIN_PASSWORD, Machine


@contextmanager
def host_of(machine: Machine, user: str, controller: Controller, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """Log in to a machine as `user`, and become root."""
    monkeypatch.setenv("HOME", str(controller.home))
    monkeypatch.setenv("PROVISION_SUDO_PASSWORD", ADMIN_PASSWORD)
    controller.manage(machine, user=user)
    (entry,) = inventory.load(controller.inventory).select()
    host = fleet.open_host(entry)
    try:
        facts.gather(host, account="auto", conda_path="~/miniconda3")
        yield host
    finally:
        host.close()
