"""The weights of every model that a service of the host serves."""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

from provisioning import controller_download, given_secrets, uv
from provisioning.accounts import as_account
from provisioning.clients import demo_model
from provisioning.copies.taker import private_folder
from provisioning.copies.wanted import CONTROLLER
from provisioning.host import quote
from provisioning.masking import masked
from provisioning.model_settings import AUTO, Model, name_of, require_own_folders
from provisioning.replacing import require_replaceable
from provisioning.resources import Directory, Product, Program, Resource
from provisioning.resources.bundled_model import BundledModel
from provisioning.resources.distributed_model import DistributedModel
from provisioning.resources.downloaded_model import DownloadedModel
from provisioning.resources.model_folder import ModelFolder
from provisioning.site import LIBRARY, TOOLS, Site
from provisioning.templates import load
from provisioning.texts import bytes_per_second

PROGRAM = (
    "download_model.py",
    "download_copy.py",
    "download_exit.py",
    "download_folder.py",
    "download_forecast.py",
    "download_git.py",
    "download_http.py",
    "download_huggingface.py",
    "download_modelscope.py",
    "download_progress.py",
    "download_records.py",
    "download_retry.py",
    "download_sources.py",
    "download_throttle.py",
    "download_throttle_http.py",
    "download_url.py",
    "download_verify.py",
    "download_web.py",
    "git_client.py",
    "git_lfs.py",
    "git_repository.py",
    "git_tree.py",
    "modelscope_package.py",
)


def resources(site: Site) -> Iterator[Resource]:
    """Yield each served model once, with the folder above it and the program that downloads.

    Those that another host downloads come last: it may wait for one of this host's (see `working_order`).
    Raises `ConfigurationError` where two models would be brought into one folder.
    """
    brought = [name for name, model in site.served_models.items() if model.method != "path"]
    require_own_folders(site.name, {name: site.model_path(name) for name in brought})
    models = dict(sorted(site.served_models.items(), key=lambda each: _waits(site, each[1])))
    if any(model.is_downloaded for model in models.values()):
        yield Directory(LIBRARY)
        yield Program("downloads", PROGRAM)
    for name, model in models.items():
        path = site.model_path(name)
        packed = site.offline is not None and bool(site.offline.bundle.model(name))
        if model.method == "path" and not packed:
            yield ModelFolder(name, path, site.account, site.group)
            continue
        yield Directory(posixpath.dirname(path), site.account, site.group, lenient=True)
        if site.offline and packed:
            yield BundledModel(name, path, site.account, site.group, site.home, site.offline.bundle)
        else:
            yield _demo(site, name, path) if model.method == "demo" else _downloaded(site, name, model)


def _waits(site: Site, model: Model) -> bool:
    return model.distribute == "once" and model.download_on not in ("auto", CONTROLLER, site.name)


@cache
def _source() -> str:
    return Path(demo_model.__file__).read_text()


def demo_revision() -> str:
    """Revision of the demo model: what it is made by."""
    return "demo " + hashlib.sha256(_source().encode()).hexdigest()[:12]


def _demo(site: Site, name: str, path: str) -> Product:
    revision, beside, remedy = demo_revision(), f"{path}.made", f"move it away, or give models/{name} another path"
    program, place, made = map(quote, (_source(), path, beside))
    # What lies beside, whole, was about to take the place: of the old one there may be only a part.
    require = require_replaceable(path, (".revision",), "a demo model", remedy)
    replaceable = f"[ -e {made}/.revision ] || {{ {require}; }}"
    train = (
        f"set -e; {replaceable}; {quote(site.environment_python)} -c {program} {made}; "
        f"printf '%s\\n' {quote(revision)} >{made}/.revision; rm -rf {place}; mv -T {made} {place}"
    )
    return Product(
        title=f"model {name}",
        look=f"[ -f {quote(path)}/model.safetensors ] && cat {quote(path)}/.revision 2>/dev/null; :",
        state=revision,
        script=as_account(site.account, site.home, train),
        job_name=f"model-{name}",
        describe=lambda found: f"train the demo model into {path} (about half a minute)",
        removes=(path, beside),
        undo_first=f"({replaceable}) >/dev/null || exit 0",
    )


def _downloaded(site: Site, name: str, model: Model) -> DownloadedModel:
    told = config(site, name, model)
    about: dict[str, Any] = {
        "model": name,
        "path": told["folder"],
        "key": told["key"],
        "where": _where(told),
        "script": _script(site, told),
        "forecasts": partial(_forecast, told),
        "verification": site.verification,
    }
    if model.distribute == "each":
        return DownloadedModel(**about)
    source = {"method": "copy", "endpoint": private_folder(name)}
    copied = {**told, "sources": [source], "include": [], "exclude": [], "token": "", "limit_rate": 0}
    return DistributedModel(
        **about,
        host=site.name,
        account=site.account,
        home=site.home,
        copy_script=_script(site, copied),
        download_on=model.download_on,
        download_here=partial(controller_download.download, told),
    )


def _script(site: Site, told: dict[str, Any]) -> str:
    program = load("download_model.sh").render(
        quote=quote,
        python=f"{TOOLS}/bin/python",
        program=posixpath.join(LIBRARY, PROGRAM[0]),
        folder=told["folder"],
        config=json.dumps(told, ensure_ascii=False),
        verification=site.verification,
    )
    return uv.script(site, program)


def config(site: Site, name: str, model: Model) -> dict[str, Any]:
    """Everything that the program on the host is told."""
    asked = {
        "id": model.id or "",
        "revision": model.revision or "",
        "include": list(model.include),
        "exclude": list(model.exclude),
        "files": [{"url": each.url, "sha256": each.sha256.lower(), "path": name_of(each)} for each in model.files],
        "sources": _sources(site, model),
    }
    return {
        **asked,
        "key": hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:32],
        "name": name,
        "setting": f"models/{name}",
        "folder": site.model_path(name),
        "token": "" if model.token == "none" else given_secrets.read(model.token),
        "verify": bool(site.verification),
        "limit_rate": bytes_per_second(model.limit_rate) if model.limit_rate else 0,
    }


def _sources(site: Site, model: Model) -> list[dict[str, str]]:
    """The methods to try in turn, each with its server."""
    hubs = site.settings.hubs
    servers = {"huggingface": hubs.huggingface, "url": ("",)}
    return [
        {"method": method, "endpoint": server}
        for method in (AUTO if model.method == "auto" else (model.method,))
        for server in ((model.endpoint,) if model.endpoint else servers.get(method, (hubs.modelscope,)))
    ]


def _where(told: dict[str, Any]) -> str:
    """Where it comes from, in words."""
    if told["files"]:
        return masked(posixpath.dirname(told["files"][0]["url"]))
    revision = f" ({told['revision']})" if told["revision"] else ""
    return masked(
        f"{told['id']}{revision} at {' or '.join(dict.fromkeys(each['endpoint'] for each in told['sources']))}"
    )


def _forecast(told: dict[str, Any]) -> str:
    from provisioning.model_forecast import forecast

    return forecast(told)
