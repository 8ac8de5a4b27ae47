"""~/.condarc and pip's index, for the account that serves. What is there already is merged, never lost."""

from __future__ import annotations

from collections.abc import Iterator

from provisioning import condarc, pip_conf
from provisioning.resources import File, Resource
from provisioning.site import Site

MODE = "600"
"""They may hold logins: ours, or those of somebody who wrote there before."""


def resources(site: Site) -> Iterator[Resource]:
    """Yield the mirrors that the settings name."""
    conda, pip = site.settings.conda, site.settings.pip
    if site.manager == "conda" and conda.condarc != "none":
        yield File(
            f"{site.home}/.condarc",
            lambda existing: condarc.merge(existing, conda.condarc, accept_terms=conda.accept_terms),
            owner=site.account,
            group=site.group,
            mode=MODE,
        )
    options = pip_conf.options(pip)
    if options:
        yield File(
            f"{site.home}/.config/pip/pip.conf",
            lambda existing: pip_conf.merge(existing, options),
            owner=site.account,
            group=site.group,
            mode=MODE,
        )
