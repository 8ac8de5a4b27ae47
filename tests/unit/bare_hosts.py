"""Hosts as they could be, for tests of what follows from them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from provisioning.facts import Facts
from provisioning.settings import HostSettings
from provisioning.site import Site

FACTS = Facts(
    user="root",
    uid=0,
    user_home="/root",
    account="vllm",
    account_exists=False,
    group="vllm",
    home="/var/lib/vllm",
    os_id="debian",
    os_version="12",
    os_name="Debian GNU/Linux 12 (bookworm)",
    architecture="x86_64",
    kernel="6.1.0",
    cores=2,
    cpu_flags=frozenset({"avx2", "avx512f", "avx512_bf16"}),
    topology=((0, 0, 0, 0), (1, 1, 0, 0)),
    memory=16 * 2**30,
    memory_available=14 * 2**30,
    systemd=252,
    pythons=(("/usr/bin/python3", "3.11"),),
    manager="",
    compilers={"gcc": "", "g++": ""},
    glibc="2.36",
)
"""A bare Debian 12 that is reached as root."""

ADMIN = replace(FACTS, user="admin", uid=1000, user_home="/home/admin", account="admin", account_exists=True)
ADMIN = replace(ADMIN, group="users", home="/home/admin", sudo="password")


def site(facts: Facts = FACTS, **settings: Any) -> Site:
    """A host with these settings."""
    return Site("web1", HostSettings.model_validate(settings), facts)
