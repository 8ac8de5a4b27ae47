"""Snippets that ask a service: what they hold, that they can be pasted anywhere, and that they run as printed."""

from __future__ import annotations

import ast
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hosts.openai_server import OpenAiServer

from provisioning.clients.snippets import Endpoint, snippets

PROJECT = Path(__file__).resolve().parents[2]
ODD = """it's "quoted" $HOME `id` \\ 天空 %s {x} 😀
and a second line"""


def calls(text: str) -> dict[str, ast.Call]:
    """The calls of a program, by the name of what is called."""
    found = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    return {node.func.attr: node for node in found if isinstance(node.func, ast.Attribute)}


def values(call: ast.Call) -> dict[str, Any]:
    """The arguments of a call that are constants."""
    return {
        each.arg: ast.literal_eval(each.value)
        for each in call.keywords
        if each.arg and not isinstance(each.value, ast.Call | ast.Subscript)
    }


@pytest.mark.parametrize("variable", ["", "MY_KEY"])
def test_every_value_arrives(variable: str) -> None:
    endpoint = Endpoint("http://[::1]:8000/v1", ODD, ODD, 77, variable)
    wanted = {"model": ODD, "messages": [{"role": "user", "content": ODD}], "max_tokens": 77, "temperature": 0}
    for each in snippets(endpoint, ("curl", "python")):
        streamed = {"stream": True} if "streamed" in each.title else {}
        if each.language == "curl":
            words = shlex.split(each.text)
            assert json.loads(words[words.index("-d") + 1]) == {**wanted, **streamed}
            assert "http://[::1]:8000/v1/chat/completions" in words
        else:
            found = calls(each.text)
            assert values(found["create"]) == {**wanted, **streamed}
            assert values(found["OpenAI"])["base_url"] == "http://[::1]:8000/v1"
        assert ("Bearer" in each.text or "environ" in each.text) == bool(variable)
        assert variable in each.text
        subprocess.run(["sh", "-n"], input=each.in_shell().encode(), check=True)


@pytest.fixture
def server() -> Iterator[OpenAiServer]:
    with OpenAiServer("ses'ame $x") as server:
        yield server


@pytest.fixture
def inventory(tmp_path: Path, server: OpenAiServer) -> str:
    key = tmp_path / "the key"
    key.write_text("ses'ame $x\n")
    service = {"model": "demo", "port": server.port, "api_key": {"file": str(key)}}
    far = {"ansible_host": "192.0.2.10", "ansible_port": 2222, "ansible_user": "me"}
    far["ansible_ssh_common_args"] = "-J you@bastion:2200"
    hosts = {"here": {"ansible_connection": "local"}, "far": far}
    told = {"models": {"demo": {"method": "demo"}}, "services": {"demo": service}}
    file = tmp_path / "inventory.yaml"
    file.write_text(yaml.safe_dump({"all": {"hosts": hosts, "vars": told}}))
    return str(file)


def curl(inventory: str, *options: str, hosts: str = "here", **variables: str) -> subprocess.CompletedProcess[str]:
    program = [str(Path(sys.executable).with_name("invoke")), "--search-root", str(PROJECT), "curl"]
    command = [*program, "--hosts", hosts, "--inventory", inventory, *options]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, env={**os.environ, **variables}
    )


def test_they_run_as_printed(inventory: str, server: OpenAiServer) -> None:
    """A proxy of the environment leads nowhere, and nobody is told the key."""
    done = curl(inventory, "--run", http_proxy="http://127.0.0.1:1", all_proxy="http://127.0.0.1:1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(server.asked) == 4
    assert sorted(bool(asked.get("stream")) for asked in server.asked) == [False, False, True, True]
    assert done.stdout.count("？的色蓝是么什为空天") == 3
    assert done.stdout.count("data: ") > 5
    assert "ses'ame" not in done.stdout + done.stderr
    server.key = "another"
    refused = curl(inventory, "--run", "--language", "curl")
    assert refused.returncode == 1
    assert "here/demo: 2 of 2 snippets failed\n    curl: exit code 22\n" in refused.stderr
    server.stop()
    assert curl(inventory, "--run").returncode == 6
    server.start()


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_output_is_a_script(inventory: str, server: OpenAiServer, shell: str) -> None:
    printed = curl(inventory, "--language", "curl").stdout
    variables = {**os.environ, "VLLM_API_KEY": "ses'ame $x"}
    done = subprocess.run([shell], input=printed, capture_output=True, text=True, check=True, env=variables)
    assert "？的色蓝是么什为空天" in done.stdout
    assert len(server.asked) == 2
    python = curl(inventory, "--language", "python").stdout
    done = subprocess.run([sys.executable], input=python, capture_output=True, text=True, check=True, env=variables)
    assert done.stdout == "？的色蓝是么什为空天\n" * 2
    with_key = next(line[4:] for line in printed.splitlines() if line.startswith("#   export "))
    asked = subprocess.run([shell, "-c", f'{with_key}; printf %s "$VLLM_API_KEY"'], capture_output=True, check=True)
    assert asked.stdout == b"ses'ame $x"


def test_another_host_is_reached_through_a_tunnel_and_needs_not_be_there(inventory: str) -> None:
    printed = curl(inventory, "--language", "curl", hosts="far").stdout
    (tunnel,) = (shlex.split(line) for line in printed.splitlines() if line.startswith("ssh "))
    assert tunnel[-6:] == ["-p", "2222", "-J", "you@bastion:2200", "me@192.0.2.10", ">/dev/null"]
    local_port, there = tunnel[tunnel.index("-L") + 1].split(":", 1)
    assert there.startswith("127.0.0.1:")
    assert f"http://127.0.0.1:{local_port}/v1/chat/completions" in printed
    in_python = curl(inventory, "--language", "python", hosts="far").stdout
    assert (
        shlex.join(tunnel[:-1]).split(":")[1:]
        == next(line for line in in_python.splitlines() if line.startswith("# ssh "))
        .removesuffix(" >/dev/null")
        .split(":")[1:]
    )
    ast.parse(in_python)


def test_what_is_not_there(inventory: str) -> None:
    for options, words in ((("--language", "pyhton"), '"python"'), (("--service", "dmeo"), '"demo"')):
        done = curl(inventory, *options)
        assert done.returncode == 3
        assert f"Did you mean {words}?" in done.stderr
