"""A machine on which secrets stand wherever one can be given, and two services that a stand-in for vLLM serves."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .controller import Controller
from .inventories import host_variables
from .machine import Machine
from .serving import free_port
from .watching import looking

AWKWARD = {
    "QUOTES": """it's "quoted" `id` $(touch /pwned) ${HOME} $HOME""",
    "SYSTEMD": r"%n %% %H %i \n \x41 \ ; # end\\",
    "LINES": "one\ntwo\n\tthree ",
    "GLOB": "* ? [a-z] ~ {a,b} !x & | < > -rf --",
    "UNICODE": "天空 \u202eabc e\u0301 \U0001f600",
    "BRACES": "{x}",
    "EMPTY": "",
}
SECRETS = {
    name: f"planted{name}{os.getpid()}secret"
    for name in (
        *("key", "variable", "token", "apt", "pip", "links", "torch", "conda", "hub", "oneDNN", "git"),
        *("passphrase", "proxy", "login", "sudo", "become"),
    )
}
"""No other run of tests on this machine has the same."""
STAND_IN = """
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.dumps({"data": [{"id": given("--served-model-name")}], "usage": {"completion_tokens": 1}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_GET = do_POST = answer

def given(name):
    return sys.argv[sys.argv.index(name) + 1]

HTTPServer((given("--host"), int(given("--port"))), Handler).serve_forever()
"""
ENVIRONMENT = "/var/lib/vllm/venvs/vLLM"
MODEL = "/var/lib/vllm/models/it's $(touch pwned) 天空 %n"
PRIVATE = "Qwen/Private"
"""A model that only a token opens."""
BEGAN = "/srv/began"
"""A file as old as the first secret on the machine."""
SOURCES = "deb http://deb.debian.org/debian bookworm main\n"


@dataclass
class Seen:
    """Every process meanwhile, here and on the machine, that showed a secret."""

    on_command_lines: set[tuple[str, str]] = field(default_factory=set)
    """Which secret, and the command line."""
    in_environments: set[tuple[str, int, str]] = field(default_factory=set)
    """Which secret, the user's number, and the program."""
    processes: set[str] = field(default_factory=set)

    def look(self) -> None:
        """Look at all of them once."""
        for process in Path("/proc").glob("[0-9]*"):
            try:
                line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                environment = (process / "environ").read_bytes().decode(errors="replace")
                self.processes.add(line)
                for name, secret in SECRETS.items():
                    if secret in line:
                        self.on_command_lines.add((name, line))
                    if secret in environment:
                        self.in_environments.add((name, process.stat().st_uid, line))
            except OSError:
                continue


@contextmanager
def watched() -> Iterator[Seen]:
    """Look all the time."""
    seen = Seen()
    with looking(seen.look, every=0.05):
        yield seen


def url(name: str, host: str = "127.0.0.1:9") -> str:
    """A URL with a login."""
    return f"http://somebody:{SECRETS[name]}@{host}/x"


def settings(controller: Controller, archive: str, hub: str) -> dict[str, Any]:
    """Settings that hold a secret, or name its file or variable, wherever they can."""
    (controller.home / "sudo").write_text(SECRETS["sudo"] + "\n")
    (controller.home / "key").write_text(SECRETS["key"] + "\n")
    variables = AWKWARD | {"HF_TOKEN": SECRETS["variable"], "MODELSCOPE_API_TOKEN": SECRETS["variable"]}
    service = {"model": "m", "environment": variables | {"HTTPS_PROXY": url("proxy"), "http_proxy": url("proxy")}}
    arguments = [*AWKWARD.values(), "--a", "-b"]
    private = {"method": "huggingface", "id": PRIVATE, "endpoint": hub, "token": {"env": "PLANTED_TOKEN"}}
    return {
        "account": "vllm",
        "become_password_file": str(controller.home / "sudo"),
        "apt": {"mirror": url("apt", archive)},
        "miniconda": {"mirrors": [url("conda")]},
        "pip": {"extra_indexes": [url("pip")], "find_links": ["/opt/wheels", url("links")]},
        "environment": {"manager": "uv"},
        "build": {"torch_indexes": [url("torch")], "sources": [url("git")], "onednn": {"sources": [url("oneDNN")]}},
        "hubs": {"modelscope": url("hub"), "huggingface": [url("hub")]},
        "models": {"m": {"path": MODEL}, "private": private},
        "services": {
            "a": {**service, "port": free_port(), "api_key": {"file": str(controller.home / "key")}},
            "b": {**service, "port": free_port(), "api_key": {"env": "PLANTED_KEY"}, "arguments": arguments},
            "c": {"model": "private", "port": free_port()},
        },
    }


def manage(machine: Machine, controller: Controller, told: dict[str, Any], **variables: Any) -> None:
    """Manage a machine with these settings, and `variables` of its own, by a key that wants a passphrase."""
    key = controller.home / "identity"
    if not key.exists():
        shutil.copy(machine.key, key)
        subprocess.run(["ssh-keygen", "-q", "-p", "-N", SECRETS["passphrase"], "-f", key], check=True)
    host = {**host_variables(machine, "admin"), "ansible_ssh_private_key_file": str(key), **variables}
    controller.know(machine.known_hosts)
    controller.write({"all": {"hosts": {machine.name: host}, "vars": told}})


def prepare(machine: Machine, controller: Controller, told: dict[str, Any]) -> Controller:
    """Give the machine a password, a model, the stand-in, sources for apt, and the stamp of an installed vLLM."""
    given = {"PLANTED_TOKEN": SECRETS["token"], "PLANTED_KEY": SECRETS["key"]}
    controller.log_in_as("admin", **given, PROVISION_KEY_PASSPHRASE=SECRETS["passphrase"])
    manage(machine, controller, told)
    machine.run("chpasswd", input=f"admin:{SECRETS['sudo']}\n")
    machine.run(f"touch {BEGAN}; cat >/etc/apt/sources.list", input=SOURCES)
    packages = machine.run(f"ls -d {ENVIRONMENT}/lib/python3*/site-packages").stdout.strip()
    place = f"{packages}/vllm/entrypoints/openai"
    machine.run(f"mkdir -p {place}; cat >{place}/api_server.py; chown -R vllm: {packages}/vllm", input=STAND_IN)
    machine.run(
        'read -r m; runuser -u vllm -- mkdir -p "$m"; echo "{}" >"$m/config.json"; echo >"$m/model.safetensors"',
        input=MODEL + "\n",
    )
    plan = json.loads(controller.run("plan", "--json").output)["hosts"][machine.name]
    (change,) = (each for each in plan["changes"] if each["step"] == "vllm")
    stamp = f"{ENVIRONMENT}/.vllm-provisioning"
    machine.run(f"cat >{stamp}; chown vllm: {stamp}", input=change["diff"].removeprefix("install ") + "\n")
    return controller
