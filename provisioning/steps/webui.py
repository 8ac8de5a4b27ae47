"""The chat page for the services of a host: its own environment, its program, and a unit that keeps it."""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from provisioning import given_secrets, uv, webui_settings
from provisioning.errors import ConfigurationError
from provisioning.host import quote
from provisioning.resources import Directory, File, Product, Program, Resource
from provisioning.resources.api_key import GeneratedApiKey
from provisioning.resources.chat_page import NAME, SUPERVISOR_PROGRAM, UNIT, ChatPage
from provisioning.server_environment import url
from provisioning.site import CONFIGURATION, LIBRARY, Site
from provisioning.steps.service import LOGS
from provisioning.templates import load, text
from provisioning.webui_address import url as page_url

PROGRAM = (
    *("webui.py", "webui_conversation.py", "webui_guard.py", "webui_page.py", "webui_service.py", "webui_words.py"),
    *("webui.css", "webui_history.js"),
)
PINS = Path(webui_settings.__file__).with_name("webui.txt")
CONFIG = f"{CONFIGURATION}/webui.json"
PASSWORD = f"{CONFIGURATION}/webui.password"


def resources(site: Site) -> Iterator[Resource]:
    """Yield everything that the page takes, or its end where it is not wanted (any more)."""
    page = site.settings.webui
    if not is_wanted(site):
        yield replace(kept(site), wanted=False)
        return
    yield Directory(LIBRARY)
    yield Directory(CONFIGURATION)
    yield Program("chats in a browser", PROGRAM)
    yield from _environment(site)
    config = json.dumps(_config(site), ensure_ascii=False, indent=2) + "\n"
    yield File(CONFIG, config)
    if page.password == "generate":
        yield GeneratedApiKey(PASSWORD, site.account, site.group)
    elif page.password != "none":
        yield File(PASSWORD, _password(site) + "\n", site.account, site.group, "600", secret=True)
    fingerprint = _fingerprint(site, config)
    yield from _unit(site, fingerprint)
    yield kept(site, fingerprint)


def is_wanted(site: Site) -> bool:
    """Whether the host is to keep a page: one without a service has nothing to show."""
    return site.settings.webui.enabled and bool(site.settings.services)


def kept(site: Site, fingerprint: str = "") -> ChatPage:
    """Give the page; without the fingerprint it can be looked at, started and stopped."""
    page = site.settings.webui
    return ChatPage(page_url(page.listen, page.port), fingerprint, systemd=bool(site.facts.systemd))


def folder(site: Site) -> str:
    """Where the page's environment lies: apart from vLLM's."""
    return f"{site.home}/venvs/{NAME}"


def _environment(site: Site) -> Iterator[Resource]:
    path, pins = folder(site), PINS.read_text()
    python, version = site.facts.system_python()
    state = f"{hashlib.sha256(pins.encode()).hexdigest()[:12]} Python {version}"
    stamp = f"{path}/.vllm-provisioning"
    install = (
        f"set -e; rm -rf {quote(path)}; uv venv --quiet --python {quote(python)} {quote(path)}\n"
        f"uv pip install --compile-bytecode --python {quote(path)}/bin/python --requirement - <<'END'\n{pins}END\n"
        f"printf '%s\\n' {quote(state)} >{quote(stamp)}"
    )
    yield Directory(posixpath.dirname(path), site.account, site.group, lenient=True)
    yield Product(
        title=f"environment {path}",
        look=f"cat {quote(stamp)} 2>/dev/null; :",
        state=state,
        script=uv.script(site, install),
        job_name="webui",
        describe=lambda _: f"install Gradio into {path}, for the chat page (some 400 MB)",
        removes=(path,),
    )


def _config(site: Site) -> dict[str, Any]:
    """What the page's program is told; secrets stay in files of their own."""
    page = site.settings.webui
    return {
        "listen": page.listen,
        "port": page.port,
        "language": "" if page.language == "auto" else page.language,
        "share": False,
        **({"user": page.user, "password_file": PASSWORD} if page.user else {}),
        "services": [
            {
                "host": site.name,
                "name": service.name,
                "model": service.model,
                "url": url(service),
                "api_key_file": "" if service.api_key == "none" else f"{CONFIGURATION}/{service.name}.key",
                "state_file": f"/run/vllm/{service.name}/state.json",
            }
            for service in site.settings.resolved_services().values()
        ],
    }


def _password(site: Site) -> str:
    try:
        return given_secrets.read(site.settings.webui.password)
    except ValueError as error:
        raise ConfigurationError(f"webui/password: {error}") from error


def _fingerprint(site: Site, config: str) -> str:
    """Hash of all that the running program has read."""
    given = site.settings.webui.password
    parts = [*(text(name) for name in PROGRAM), PINS.read_text(), config, repr(given)]
    parts += [_password(site)] if given not in ("none", "generate") else []
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _unit(site: Site, fingerprint: str) -> Iterator[Resource]:
    values = {"account": site.account, "group": site.group, "python": f"{folder(site)}/bin/python"}
    values |= {"program": f"{LIBRARY}/{PROGRAM[0]}", "config": CONFIG, "fingerprint": fingerprint}
    if site.facts.systemd:
        yield File(UNIT, load("vllm-webui.service.j2").render(values))
    else:
        yield Directory("/var/cache/vllm")
        yield Directory(f"/var/cache/vllm/{NAME}", site.account, site.group, "700")
        program = load("supervisor-webui.conf.j2").render(values, name=NAME, log_directory=LOGS)
        yield File(SUPERVISOR_PROGRAM, program)
