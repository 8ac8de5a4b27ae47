"""Debian packages, compilers, and the account that serves."""

from __future__ import annotations

from collections.abc import Iterator

from provisioning.facts import Facts
from provisioning.places import STATE
from provisioning.resources import Account, DefaultCompiler, Directory, File, Packages, Resource
from provisioning.resources.apt_mirror import AptMirror
from provisioning.resources.leftovers import Leftovers
from provisioning.site import Site

BASE = ("ca-certificates", "curl", "git", "git-lfs", "libnuma1", "procps", "python3", "python3-venv", "util-linux")

APT_LOGIN = "/etc/apt/auth.conf.d/vllm-provisioning.conf"

COMPILING = ("ccache", "libnuma-dev")
"""What the compilation of vLLM takes besides the compilers."""


def resources(site: Site) -> Iterator[Resource]:
    """Yield what every other step rests on."""
    settings = site.settings
    yield Directory(STATE)
    yield Leftovers()
    if settings.apt.mirror != "none":
        mirror = AptMirror(settings.apt.mirror)
        if mirror.login:
            yield File(APT_LOGIN, mirror.login, mode="600", secret=True)
        yield mirror
    version = settings.compiler.version
    yield Packages(
        tuple(
            dict.fromkeys(
                (
                    *BASE,
                    *((tcmalloc(site.facts),) if site.settings.build.device == "cpu" else ()),
                    f"gcc-{version}",
                    f"g++-{version}",
                    # What torch compiles at start-up includes Python.h; conda brings its own.
                    *(("python3-dev",) if site.manager == "uv" else ()),
                    *(COMPILING if site.compiles else ()),
                    *settings.apt.packages,
                )
            )
        ),
        lock_timeout=settings.apt.lock_timeout,
    )
    if settings.compiler.default:
        yield DefaultCompiler(version)
    if site.creates_account:
        yield Account(site.account, site.home)


def tcmalloc(facts: Facts) -> str:
    """Name of the package of tcmalloc_minimal: renamed with 64-bit time_t in Debian 13 and Ubuntu 24.04."""
    number = float(facts.os_version) if facts.os_version.replace(".", "", 1).isdigit() else 0
    renamed = (facts.os_id == "debian" and (number >= 13 or not number)) or (
        facts.os_id == "ubuntu" and number >= 24.04
    )
    return "libtcmalloc-minimal4t64" if renamed else "libtcmalloc-minimal4"
