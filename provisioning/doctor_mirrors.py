"""Whether what a host downloads from gives what will be asked of it: the very files and pages, where they are known."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from provisioning import pip_conf
from provisioning.errors import IncompatibleError
from provisioning.findings import OK, WARNING, Finding
from provisioning.host import quote
from provisioning.masking import server_of
from provisioning.resources.apt_mirror import AptMirror
from provisioning.server_answers import ANSWERS, is_reached, reason
from provisioning.settings import Pip
from provisioning.site import Site

# Prints the URL, the status or why there is none, and for a refusal the server's own words: a filtered network answers
# in its own voice.
_ASK = r"""
ask() {
    case $1 in
    file://*) [ -e "${1#file://}" ] && said=200 || said="there is no such file or folder" ;;
    *) said=$(answers "$1") ;;
    esac
    case $said in [45][0-9][0-9]*)
        words=$(printf 'url = "%s"\n' "$(printf %s "$1" | sed 's/[\\"]/\\&/g')" |
            curl -K - -sL --connect-timeout 3 -m 4 -r 0-500 2>/dev/null | head -c 500 | sed 's/<[^>]*>//g' |
            tr -s ' \n\r\t' ' ' | cut -c1-200)
        said="$said $words" ;;
    esac
    printf '%s %s\n' "$1" "$said"
}
"""

# Where pip looks: as told, or as the host is configured. What is installed first from there is uv.
_PACKAGE_INDEX = """
files="/etc/pip.conf $HOME/.pip/pip.conf $HOME/.config/pip/pip.conf"
configured=$(cat $files 2>/dev/null | sed -n 's/^ *index-url *= *//p' | tail -n 1)
url={told}; url=${{url:-${{PIP_INDEX_URL:-${{configured:-https://pypi.org/simple/}}}}}}
ask "${{url%/}}/uv/"
"""


@dataclass(frozen=True)
class Mirror:
    """A place to download from: shell that asks it, and the setting that names it."""

    asks: str
    setting: str
    others: bool = False
    """Whether others are tried in turn."""
    root: bool = False
    """Whether only its root can be asked for: many an index has no page there, and serves all the same."""

    @property
    def probe(self) -> str:
        """Shell that prints the URL and what it answers."""
        return ANSWERS + _ASK + self.asks

    def judge(self, output: str) -> Finding:
        """Say what the answer means."""
        url, _, said = output.strip().partition(" ")
        host = server_of(url) or url or self.setting
        status, _, words = said.partition(" ") if re.match(r"\d{3}( |$)", said) else (said, "", "")
        if is_reached(status):
            return Finding(OK, "mirror", f"{host} answers")
        if self.root and status == "404":
            return Finding(OK, "mirror", f"{host} answers (404 for its root)")
        why = f"{reason(status)}: {words.strip()}" if words.strip() else reason(status)
        remedy = "Others are tried in turn; name" if self.others else "Name"
        return Finding(WARNING, "mirror", f"{host}: {why}", f"{remedy} one that answers in {self.setting}.")


def mirrors(site: Site) -> Iterator[Mirror]:
    """Give everything that this host would download from."""
    settings = site.settings
    if settings.apt.mirror != "none":
        yield Mirror(_archive(site), "apt.mirror")
    yield from package_indexes(settings.pip)
    for url in _installers(site):
        yield Mirror(f"ask {quote(url)}", "miniconda.mirrors", others=True)
    for setting, url in _hubs(site):
        yield Mirror(f"ask {quote(url)}", setting, others=setting == "hubs.huggingface", root=True)
    if settings.build.device == "cpu" and settings.pip.index != "none":
        for url in settings.build.torch_indexes:
            yield Mirror(f"ask {quote(url.rstrip('/') + '/torch/')}", "build.torch_indexes", others=True)


def _hubs(site: Site) -> Iterator[tuple[str, str]]:
    """Give the servers of the models that are downloaded, and the setting that names each."""
    hubs, found = site.settings.hubs, dict[str, str]()
    for name, model in site.served_models.items():
        if model.endpoint:
            found[model.endpoint] = f"models.{name}.endpoint"
        elif model.method in ("git", "sdk", "cli", "auto"):
            found[hubs.modelscope] = "hubs.modelscope"
        if model.method in ("huggingface", "auto") and not model.endpoint:
            found |= dict.fromkeys(hubs.huggingface, "hubs.huggingface")
        found |= {each.url: f"models.{name}.files" for each in model.files[:1]}
    for url, setting in found.items():
        yield setting, url


def package_indexes(pip: Pip) -> Iterator[Mirror]:
    """Give the index and what else pip looks at; without an index, the folders that stand in for it."""
    if pip.index == "none":
        for folder in pip.find_links:
            yield Mirror(f"ask {quote(folder if '://' in folder else f'file://{folder}')}", "pip.find_links")
        return
    yield Mirror(_PACKAGE_INDEX.format(told=quote(pip_conf.options(pip).get("index-url", ""))), "pip.index")
    for url in pip.extra_indexes:
        yield Mirror(f"ask {quote(url)}", "pip.extra_indexes", root=True)


def _archive(site: Site) -> str:
    """Ask for the list of what the mirror of the distribution holds, as apt will."""
    ports = site.facts.os_id == "ubuntu" and site.facts.architecture != "x86_64"
    folder = "ubuntu-ports" if ports else site.facts.os_id
    url = f"{AptMirror(site.settings.apt.mirror).url}/{folder}/dists/"
    return f". /etc/os-release; ask {quote(url)}$VERSION_CODENAME/InRelease"


def _installers(site: Site) -> tuple[str, ...]:
    settled = site.facts.manager or site.settings.environment.manager != "auto"
    if site.manager != "conda" and settled:
        return ()
    try:
        return site.miniconda_urls
    except IncompatibleError:
        return ()  # a finding of its own
