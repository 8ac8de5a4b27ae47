"""The task `curl`: snippets that ask a service, printed to be pasted, or run here."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence

from provisioning.asking import Askable, OpenHosts, askable
from provisioning.clients import chat
from provisioning.clients.snippets import Endpoint, Snippet, snippets
from provisioning.commands import load
from provisioning.conversation import FIRST_QUESTION
from provisioning.errors import ConfigurationError, ExitCode, ProvisioningError
from provisioning.given_secrets import require_api_keys
from provisioning.host import quote
from provisioning.serve_settings import KeyFromFile, KeyFromVariable
from provisioning.server_environment import url
from provisioning.spelling import did_you_mean
from provisioning.ssh_command import forwarding, ssh_command

VARIABLE = "VLLM_API_KEY"
"""Holds the API key where the inventory names no variable of its own; vLLM itself reads it by this name."""
LANGUAGES = {"all": ("curl", "python"), "curl": ("curl",), "python": ("python",)}
MAX_TOKENS = 200


def curl(path: str, hosts: str, service: str, language: str, *, run: bool) -> ExitCode:
    """Print snippets that ask one service; nothing is connected to, unless they are to be run here.

    Raises `ProvisioningError` where one that was run has failed.
    """
    if language not in LANGUAGES:
        raise ConfigurationError(f"--language: there is no {language!r}", cause=did_you_mean(language, LANGUAGES))
    found = askable(load(path, hosts), service)
    asked = found[0]
    if len(found) > 1:
        print(f"asking {asked.name} (choose with --hosts and --service)", file=sys.stderr)
    port = _free_port(asked.service.port)
    where = url(asked.service) if _is_here(asked) else f"http://127.0.0.1:{port}"
    endpoint = Endpoint(
        f"{where}/v1", asked.service.model, FIRST_QUESTION, chat.length(asked.service, MAX_TOKENS), variable(asked)
    )
    texts = snippets(endpoint, LANGUAGES[language])
    print("\n".join(preface(asked, port, language)), flush=True)
    if run:
        _run(asked, texts, port)
        return ExitCode.OK
    for each in texts:
        print(f"\n# {each.title}\n{each.in_shell() if language == 'all' else each.text}", end="")
    return ExitCode.OK


def _run(asked: Askable, texts: Sequence[Snippet], port: int) -> None:
    """Run snippets one after another, through a tunnel of their own where the service is on another host."""
    require_api_keys([asked.entry], asked.service.name)
    failed = []
    with OpenHosts() as hosts, chat.reached(hosts.of(asked), asked.service, port):
        key = {name: chat.api_key(hosts.of(asked), asked.service)} if (name := variable(asked)) else {}
        for each in texts:
            print(f"\n# {each.title}\n{each.text}", flush=True)
            program = ["sh"] if each.language == "curl" else [sys.executable, "-"]
            code = subprocess.run(program, input=each.text.encode(), env=os.environ | key, check=False).returncode
            if code:
                failed.append(f"{each.title}: exit code {code}")
    if failed:
        raise ProvisioningError(f"{asked.name}: {len(failed)} of {len(texts)} snippets failed", cause="\n".join(failed))


def preface(asked: Askable, port: int, language: str) -> Iterator[str]:
    """Lines that come before the snippets: whose they are, where the key comes from, and the way there."""
    service = asked.service
    yield f"# {service.name} of {asked.entry.name} serves {service.model}."
    yield from _about_the_key(asked)
    if language != "curl":
        yield "# Python needs its client: pip install openai"
    if _is_here(asked):
        return
    words = ssh_command(asked.entry, forwarding(port, service.own_address, service.port))
    tunnel = f"{shlex.join(words)} >/dev/null"  # or it would keep a pipe open behind these snippets
    in_python = language == "python"
    yield f"# First a tunnel, in the background until you end it{'; in a shell:' if in_python else '.'}"
    yield f"# {tunnel}" if in_python else tunnel


def _about_the_key(asked: Askable) -> Iterator[str]:
    source = asked.service.api_key
    if isinstance(source, KeyFromVariable):
        yield f"# Its API key is taken from {source.env}."
    elif isinstance(source, KeyFromFile):
        yield f"# Its API key is taken from {VARIABLE}; set it once:"
        yield f'#   export {VARIABLE}="$(head -n 1 {quote(os.path.expanduser(source.file))})"'
    elif source == "generate":
        yield f"# Its API key is taken from {VARIABLE}; set it once, from the file on the host:"
        yield f'#   export {VARIABLE}="$({shlex.join(_showing_the_key(asked))})"'


def _showing_the_key(asked: Askable) -> list[str]:
    is_root = os.geteuid() == 0 if _is_here(asked) else asked.entry.ssh.user == "root"
    show = [*([] if is_root else ["sudo"]), "cat", chat.key_file(asked.service)]
    return show if _is_here(asked) else ssh_command(asked.entry, command=show)


def variable(asked: Askable) -> str:
    """The environment variable that snippets take the key from; "" where there is none."""
    source = asked.service.api_key
    if source == "none":
        return ""
    return source.env if isinstance(source, KeyFromVariable) else VARIABLE


def _is_here(asked: Askable) -> bool:
    return asked.entry.ssh.connection == "local"


def _free_port(wanted: int) -> int:
    """A port of this machine's loopback that is free now: the wanted one, or else any."""
    for port in (wanted, 0):
        try:
            with socket.create_server(("127.0.0.1", port)) as listener:
                return int(listener.getsockname()[1])
        except OSError:
            continue
    return wanted
