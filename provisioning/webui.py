"""`webui`: the chat page on this machine, for services here and, through SSH tunnels, on other hosts.

The page's program runs in an environment of its own (`webui_environment`), and is told everything by its standard
input: it ends with it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from invoke.context import Context

from provisioning import fleet, streams, webui_address
from provisioning.asking import askable
from provisioning.clients.chat import api_key
from provisioning.commands import load
from provisioning.errors import CommandError, ConfigurationError, ExitCode, ProvisioningError
from provisioning.given_secrets import require_api_keys
from provisioning.host import Host
from provisioning.inventory import HostEntry
from provisioning.prompts import ask_secret
from provisioning.report import Report
from provisioning.serve_settings import ResolvedService
from provisioning.server_environment import url
from provisioning.templates import FOLDER
from provisioning.webui_settings import is_loopback
from provisioning.webui_tunnels import Way, tunnel

Keys = dict[str, str]


@dataclass(frozen=True)
class Options:
    """Where the page listens, and how it is."""

    listen: str = "127.0.0.1"
    port: int = 7860
    share: bool = False
    language: str = ""
    user: str = ""


def webui(ctx: Context, path: str, hosts: str, service: str, options: Options) -> ExitCode:
    """Serve the page until Ctrl-C. With Invoke's --dry, say what it would show."""
    chosen = [(each.entry, each.service) for each in askable(load(path, hosts), service)]
    entries = list({entry.name: entry for entry, _ in chosen}.values())
    require_api_keys(entries, service)
    credentials = login(options)
    webui_address.require_free(options.listen, options.port)
    if ctx.config.run.dry:
        for entry, each in chosen:
            print(f"would show {each.name} of {entry.name} at {webui_address.url(options.listen, options.port)}")
        return ExitCode.OK
    from provisioning.webui_environment import interpreter

    python = interpreter()
    keys = _keys(entries, service)
    with ExitStack() as stack:
        ways = {entry.name: Way(entry) for entry in entries if entry.ssh.connection != "local"}
        for way in ways.values():
            stack.callback(way.close)
        services = [
            _told(entry, each, stack.enter_context(tunnel(ways[entry.name], each)), keys)
            if entry.name in ways
            else _told(entry, each, url(each), keys) | {"state_file": f"/run/vllm/{each.name}/state.json"}
            for entry, each in chosen
        ]
        told = {"listen": options.listen, "port": options.port, "language": options.language, "share": options.share}
        with _program(
            [str(python), "-I", str(FOLDER / "webui.py"), "-"], {**told, **credentials, "services": services}
        ) as page:
            return _serve(page, options)


def login(options: Options) -> dict[str, str]:
    """User and password, which are demanded where others than this machine's users can get to the page."""
    if not options.user:
        if options.share or not is_loopback(options.listen):
            raise ConfigurationError(
                "a page that others can reach wants a login",
                cause="--share makes it public."
                if options.share
                else f"--listen {options.listen} is beyond this machine.",
                remedy="Add --user NAME; the password is asked for, or taken from PROVISION_WEBUI_PASSWORD.",
            )
        return {}
    password = ask_secret(f"password for {options.user} on the chat page", variable="PROVISION_WEBUI_PASSWORD")
    if not password:
        raise ConfigurationError(
            "--user wants a password, and there is none",
            remedy="Type it when asked, or: read -rs PROVISION_WEBUI_PASSWORD && export PROVISION_WEBUI_PASSWORD",
        )
    return {"user": options.user, "password": password}


def _keys(entries: Sequence[HostEntry], service: str) -> dict[str, Keys]:
    """The API keys of each host's services. A host that cannot be asked is told of, and stops no other."""
    found = fleet.on_each(entries, partial(_keys_of, service=service))
    for entry, result in zip(entries, found, strict=True):
        if isinstance(result, ProvisioningError):
            Report(stderr=True).error(result, entry.name)
    return {
        entry.name: {} if isinstance(result, ProvisioningError) else result
        for entry, result in zip(entries, found, strict=True)
    }


def _keys_of(host: Host, entry: HostEntry, *, service: str) -> Keys:
    services = entry.settings.resolved_services().values()
    return {each.name: api_key(host, each) for each in services if service in ("", each.name)}


def _told(entry: HostEntry, service: ResolvedService, where: str, keys: dict[str, Keys]) -> dict[str, str]:
    """A service, as the page's program wants to know it."""
    key = keys[entry.name].get(service.name, "none")
    return {"host": entry.name, "name": service.name, "model": service.model, "url": where, "api_key": key}


@contextmanager
def _program(command: list[str], told: dict[str, Any]) -> Iterator[subprocess.Popen[str]]:
    """Run the page's program in a session of its own: Ctrl-C is ours, and it ends when its input does."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, start_new_session=True) as program:
        assert program.stdin is not None
        try:
            program.stdin.write(json.dumps(told) + "\n")
            program.stdin.flush()
            yield program
        finally:
            program.stdin.close()
            try:
                program.wait(15)
            except subprocess.TimeoutExpired:
                program.kill()


def _serve(page: subprocess.Popen[str], options: Options) -> ExitCode:
    streams.end_as_by_ctrl_c()  # tunnels and program with it
    try:
        assert page.stdout is not None
        if not (line := page.stdout.readline()):
            raise CommandError("the chat page did not start", cause="Its own words are above.")
        for text in webui_address.introduction(options.listen, options.port, json.loads(line)["shared"]):
            print(text, flush=True)
        page.wait()
    except KeyboardInterrupt:
        print("\nThe chat page is closed; the services go on.", file=sys.stderr)
        return ExitCode.OK
    raise CommandError("the chat page ended by itself", cause=f"exit status {page.returncode}; its words are above")
