"""A model that a host is to have, and one that a host has."""

from __future__ import annotations

from dataclasses import dataclass

CONTROLLER = "controller"
"""What `download_on` says for the machine that this program runs on."""


@dataclass(frozen=True)
class Copy:
    """A complete model: the host that it is on (or `CONTROLLER`), and where, and whose it is."""

    host: str
    path: str
    account: str = ""
    home: str = ""


@dataclass(frozen=True)
class Wanted:
    """A model that a host is to have; `key` is the hash of what was asked."""

    title: str
    key: str
    copy: Copy
    download_on: str = "auto"
