"""The weights of every model that a service of the host serves."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from provisioning.clients import demo_model
from provisioning.host import as_account, quote
from provisioning.resources import Directory, Product, Resource
from provisioning.resources.bundled_model import BundledModel
from provisioning.resources.model_folder import ModelFolder
from provisioning.site import Site


def resources(site: Site) -> Iterator[Resource]:
    """Yield each served model once."""
    for name in dict.fromkeys(service.model for service in site.settings.services.values()):
        path = site.model_path(name)
        if site.settings.models[name].method == "demo":
            yield Directory(path.rpartition("/")[0], site.account, site.group, lenient=True)
            yield _demo(site, name, path)
        elif site.offline and site.offline.bundle.model(name):
            yield Directory(path.rpartition("/")[0], site.account, site.group, lenient=True)
            yield BundledModel(name, path, site.account, site.home, site.offline.bundle)
        else:
            yield ModelFolder(name, path, site.account)


@cache
def _source() -> str:
    return Path(demo_model.__file__).read_text()


def demo_revision() -> str:
    """Revision of the demo model: what it is made by."""
    return "demo " + hashlib.sha256(_source().encode()).hexdigest()[:12]


def _demo(site: Site, name: str, path: str) -> Product:
    revision = demo_revision()
    program = quote(_source())
    train = (
        f"set -e; {quote(site.environment_python)} -c {program} {quote(path)}; "
        f"printf '%s\\n' {quote(revision)} >{quote(path)}/.revision"
    )
    return Product(
        title=f"model {name}",
        look=f"[ -f {quote(path)}/model.safetensors ] && cat {quote(path)}/.revision 2>/dev/null; :",
        state=revision,
        script=as_account(site.account, site.home, train),
        job_name=f"model-{name}",
        describe=lambda found: f"train the demo model into {path} (about half a minute)",
        removes=(path,),
    )
