"""Miniconda: downloaded from the first mirror that gives it, checked, installed without questions."""

from __future__ import annotations

from collections.abc import Iterator

from provisioning.accounts import as_account
from provisioning.host import quote
from provisioning.resources import Product, Resource
from provisioning.site import Site
from provisioning.templates import load

BROKEN = "broken"
INSTALLED = "installed"


def resources(site: Site) -> Iterator[Resource]:
    """Yield Miniconda, unless uv makes the environment."""
    if site.manager != "conda":
        return
    path, shells = quote(site.miniconda_path), " ".join(site.settings.miniconda.init)
    script = load("miniconda.sh").render(
        quote=quote,
        urls=site.miniconda_urls,
        sha256=site.installer.sha256,
        prefix=site.miniconda_path,
        shells=site.settings.miniconda.init,
        installer=f"{site.home}/.cache/vllm-provisioning/{site.installer.file}",
    )
    works = as_account(site.account, site.home, f"{path}/bin/python --version >/dev/null 2>&1 && echo {INSTALLED}")
    yield Product(
        title=f"miniconda {site.miniconda_path}",
        # Interrupted installations leave the marker that was laid before them. The account may not exist yet.
        # One that is there and does not work may be a person's, with environments in it: `remove` is to leave it.
        look=f'[ ! -d {path} ] || [ -e {path}.installing ] || [ -z "$(ls -A {path})" ] || '
        f"{{ [ -e {path}/bin/conda ] && {works}; }} || echo {BROKEN}",
        state=INSTALLED,
        script=as_account(site.account, site.home, script),
        job_name="miniconda",
        describe=lambda found: (
            f"install {site.installer.file} into {site.miniconda_path} "
            + ("again: the conda that is there does not work" if found else f"({site.manager_reason})")
        ),
        removes=(site.miniconda_path, f"{site.home}/.cache/vllm-provisioning"),
        undo_first=as_account(site.account, site.home, f"{path}/bin/conda init --reverse {shells} >/dev/null 2>&1")
        + " || :",
    )
