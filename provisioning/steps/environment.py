"""The Python environment that vLLM lives in: by conda, or by uv with the host's own Python."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from provisioning import pip_conf, uv
from provisioning.accounts import as_account
from provisioning.host import quote
from provisioning.places import MANAGER_RECORD, STATE
from provisioning.replacing import require_replaceable
from provisioning.resources import Directory, File, Product, Resource
from provisioning.shell_reading import PYTHON_VERSION, show
from provisioning.site import TOOLS, Site

UV = "uv==0.13.8"
SUPERVISOR = "supervisor==4.3.0"
UNEARTH = "unearth==0.19.0"
"""Finds source distributions where pip would: pip itself runs their build before it gives them."""
DOWNLOADERS = ["requests==2.34.2", "tenacity==9.2.1"]
"""What downloading models takes."""
UNFINISHED = f"{STATE}/environment.unfinished"
"""Is there while the environment is made: its Python runs long before all is in place."""
# By their addresses: once .condarc names a mirror, `defaults` is the mirror's, and has no terms to accept.
ANACONDA = (
    "--override-channels --channel https://repo.anaconda.com/pkgs/main --channel https://repo.anaconda.com/pkgs/r"
)


def resources(site: Site) -> Iterator[Resource]:
    """Yield the tools, the environment, and the record of what made it."""
    yield tools(site)
    if site.manager == "uv":
        yield Directory(posixpath.dirname(site.environment), site.account, site.group, lenient=True)
    yield _with_conda(site) if site.manager == "conda" else _with_uv(site)
    yield File(MANAGER_RECORD, f"{site.manager}\n")


def tool_requirements(site: Site) -> tuple[str, ...]:
    """Give the packages of that environment, pinned."""
    supervisor = () if site.facts.systemd else (SUPERVISOR,)
    unearth = (UNEARTH,) if site.compiles and "sdist" in site.settings.build.sources else ()
    downloaders = DOWNLOADERS if any(model.is_downloaded for model in site.served_models.values()) else ()
    return (UV, *supervisor, *unearth, *downloaders)


def tools(site: Site) -> Product:
    """Give the virtual environment of uv, of supervisor on hosts without systemd, and of what fetching takes."""
    wanted = " ".join(tool_requirements(site))
    # pip of the host: it honours the host's configuration (index, certificates, find-links), which uv does not read.
    # An index URL can hold a password, so it is no argument; the settings are the account's, and this is root's pip.
    variables = [*pip_conf.variables(site.settings.pip), *(site.offline.tools() if site.offline else ())]
    exports = "".join(f"export {variable}={quote(value)}\n" for variable, value in variables)
    script = exports + (
        # pip takes a package for installed that was half installed when the power failed.
        f"set -e; umask 022; [ -e {TOOLS}/.installed ] && [ -x {TOOLS}/bin/pip ] || "
        f"{{ rm -rf {TOOLS}; /usr/bin/python3 -m venv {TOOLS}; }}\n"
        f"{TOOLS}/bin/pip install --disable-pip-version-check --no-input --progress-bar off {wanted}\n"
        f"printf '%s\\n' {quote(wanted)} >{TOOLS}/.installed\n"
    )
    return Product(
        title=f"tools {TOOLS}",
        look=show(f"{TOOLS}/.installed"),
        state=wanted,
        script=script,
        job_name="tools",
        describe=lambda _: f"install {wanted} into {TOOLS}",
        removes=(TOOLS,),
    )


def _with_conda(site: Site) -> Product:
    create = _from_bundle(site, site.offline.folder) if site.offline else _from_channels(site)
    script = f"set -e; rm -rf {quote(site.environment)}; {create}{_add_paths(site)}"
    return _environment(site, as_account(site.account, site.home, script))


def _conda_create(site: Site) -> str:
    return f"{quote(site.miniconda_path)}/bin/conda create --yes --name {quote(site.settings.environment.name)}"


def _from_channels(site: Site) -> str:
    # Anaconda's own channels want their terms accepted since July 2025; without consent conda-forge serves.
    terms = site.settings.conda.accept_terms
    channels = "" if terms else "--override-channels -c conda-forge"
    accept = f"{quote(site.miniconda_path)}/bin/conda tos accept {ANACONDA} 2>/dev/null || :; " if terms else ""
    return f"{accept}{_conda_create(site)} {channels} python={quote(site.settings.environment.python)} pip"


def _from_bundle(site: Site, folder: str) -> str:
    """Shell that lets conda take packages by their addresses: it solves nothing, and needs no index of a channel.

    That is what conda's documentation calls an explicit specification file. The bundle is the only channel that counts,
    so no other one is asked for its terms.
    """
    channel, listed = f"file://{folder}/conda", f"{site.home}/.cache/vllm-provisioning/explicit.txt"
    return (
        f"mkdir -p {quote(posixpath.dirname(listed))}; "
        f"sed {quote(f's,^[^@],{channel}/&,')} {quote(folder)}/conda/explicit.txt >{quote(listed)}; "
        f"{_conda_create(site)} --offline --override-channels -c {quote(channel)} --file {quote(listed)}"
    )


def _with_uv(site: Site) -> Product:
    path = quote(site.environment)
    create = f"set -e; rm -rf {path}; uv venv --seed --python {quote(site.interpreter)} {path}{_add_paths(site)}"
    return _environment(site, uv.script(site, create))


def _paths_file(site: Site) -> str:
    """Name, quoted, of the file by which Python looks into further folders, after those of the environment."""
    return quote(f"{site.environment}/lib/python{site.python}/site-packages/vllm-provisioning.pth")


def _add_paths(site: Site) -> str:
    """Shell that writes it. uv installs as if these folders were not there, so `build.exclude` names what is."""
    lines = " ".join(map(quote, site.site_packages))
    return f"; printf '%s\\n' {lines} >{_paths_file(site)}" if lines else ""


def _environment(site: Site, script: str) -> Product:
    python, folders, paths = quote(site.environment_python), site.site_packages, _paths_file(site)
    kind, remedy = "a Python environment", "move it away, or name another in environment.name"
    require = require_replaceable(site.environment, ("pyvenv.cfg", "conda-meta"), kind, remedy)
    replaceable = f"[ -e {UNFINISHED} ] || {{ {require}; }}"
    asked = as_account(site.account, site.home, f"{python} -c 'import sys; print(\"%d.%d\" % sys.version_info[:2])'")
    return Product(
        title=f"environment {site.environment}",
        # The account may not exist yet, and root runs no interpreter of another account's.
        look=f"{PYTHON_VERSION}start_python() {{ {asked}; }}\n"
        f'[ -x {python} ] && [ ! -e {UNFINISHED} ] && python_version {python} && printf "%s %s" "$version" '
        f"\"$([ -L {paths} ] || ! [ -f {paths} ] || tr '\\n' ' ' <{paths})\"; :",
        state=" ".join((site.python, *folders)),
        script=f"{replaceable}\n"
        f"mkdir -p {STATE}; : >{UNFINISHED} || exit 1\n{script.rstrip()} || exit\nrm -f {UNFINISHED}\n",
        job_name="environment",
        describe=lambda found: (
            f"create {site.environment} with Python {' and '.join((site.python, *folders))}, by {site.manager} "
            f"({site.manager_reason})" + (f"; replaces Python {found}" if found else "")
        ),
        removes=(site.environment, f"{site.home}/.cache/vllm-provisioning"),
        undo_first=f"({replaceable}) >/dev/null || exit 0",
    )
