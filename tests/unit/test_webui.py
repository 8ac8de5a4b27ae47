"""The chat page without a browser: its settings and resources, its words, what the model is told, and the tunnels."""

from __future__ import annotations

import asyncio
import http.server
import json
import re
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from sites import DEMO, site, with_service

from provisioning import inventory, webui_address
from provisioning.errors import ConfigurationError
from provisioning.resources import File, Product, Resource
from provisioning.resources.chat_page import ChatPage
from provisioning.settings import HostSettings
from provisioning.steps import webui
from provisioning.templates import webui_words as words
from provisioning.templates.webui_conversation import COMPLAINT, conversation
from provisioning.templates.webui_guard import POLICY, Guard
from provisioning.templates.webui_service import absence
from provisioning.webui import Options, login
from provisioning.webui_tunnels import Way, tunnel

LOGIN = {"user": "mei", "password": "generate"}


def told(**changes: Any) -> dict[str, Any]:
    return {**DEMO, "webui": {"enabled": True, **changes}}


def resources(settings: dict[str, Any], **facts: Any) -> list[Resource]:
    return list(webui.resources(site(settings, **facts)))


def page(found: list[Resource]) -> ChatPage:
    (one,) = (each for each in found if isinstance(each, ChatPage))
    return one


def file(found: list[Resource], path: str) -> File:
    (one,) = (each for each in found if isinstance(each, File) and each.path == path)
    return one


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"listen": "0.0.0.0"}, 'needs "user" and "password"'),
        ({"listen": "0.0.0.0", "user": "mei"}, "go together"),
        ({"password": "generate"}, "go together"),
        ({"port": 8000}, "port 8000 is already that of the chat page"),
    ],
)
def test_settings_that_are_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        HostSettings.model_validate(told(**changes))


def test_others_are_let_in_with_a_login() -> None:
    settings = HostSettings.model_validate(told(listen="0.0.0.0", **LOGIN))
    assert settings.webui.user == "mei"
    HostSettings.model_validate({**DEMO, "webui": {"listen": "0.0.0.0"}})  # it is not enabled


def test_a_page_that_is_not_wanted_is_stopped_where_it_runs() -> None:
    (one,) = resources(DEMO)
    assert isinstance(one, ChatPage)
    assert one.diff("active=inactive\nenabled=no\n") is None
    assert str(getattr(one.diff("active=active\nenabled=yes\nanswers=yes\n"), "text", "")) == "vllm-webui: stop"


def test_what_a_page_takes() -> None:
    found = resources(told(**LOGIN))
    names = [each.name for each in found]
    assert names[-1] == "chat page"
    assert "api key /etc/vllm/webui.password" in names
    (environment,) = (each for each in found if isinstance(each, Product))
    assert environment.title == "environment /var/lib/vllm/venvs/vllm-webui"
    assert "gradio==" in environment.script
    unit = file(found, "/etc/systemd/system/vllm-webui.service")
    assert f"VLLM_FINGERPRINT={page(found).fingerprint}\n" in str(unit.content)
    assert "User=vllm\n" in str(unit.content)
    assert [each.name for each in resources(told(), systemd=0)].count(
        "file /etc/vllm/supervisor.d/vllm-webui.conf"
    ) == 1


def test_secrets_stay_in_their_own_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAT", "a secret")
    settings = {**with_service(api_key="generate"), "webui": told(user="mei", password={"env": "CHAT"})["webui"]}
    found = resources(settings)
    config = json.loads(str(file(found, "/etc/vllm/webui.json").content))
    assert config["password_file"] == "/etc/vllm/webui.password"
    assert config["services"][0]["api_key_file"] == "/etc/vllm/demo.key"
    secret = file(found, "/etc/vllm/webui.password")
    assert (secret.content, secret.mode, secret.owner, secret.secret) == ("a secret\n", "600", "vllm", True)
    monkeypatch.setenv("CHAT", "another")
    assert page(resources(settings)).fingerprint != page(found).fingerprint
    monkeypatch.delenv("CHAT")
    with pytest.raises(ConfigurationError, match="CHAT is not set"):
        resources(settings)


def test_what_differs() -> None:
    one = page(resources(told()))
    good = f"active=active\nenabled=yes\nanswers=yes\nfingerprint={one.fingerprint}\n"
    assert one.diff(good) is None
    for actual, words_ in (
        ("active=inactive\nenabled=no\n", "start; a chat page at http://127.0.0.1:7860"),
        (good.replace("answers=yes\n", ""), "start"),
        (good.replace("fingerprint=", "fingerprint=0"), "restart"),
        (good.replace("enabled=yes", "enabled=no"), "at boot"),
    ):
        difference = one.diff(actual)
        assert difference is not None
        assert words_ in difference.text


def test_all_words_are_there_in_both_languages() -> None:
    for key, pair in words.WORDS.items():
        fields = [set(re.findall(r"{(\w+)}", each)) for each in pair]
        assert fields[0] == fields[1], key
        assert all(pair), key
    assert words.language_of("zh-CN,zh;q=0.9,en;q=0.8") == "zh"
    assert words.language_of("de,en;q=0.5") == words.language_of("") == "en"


def test_a_service_that_starts_is_not_one_that_is_down() -> None:
    assert absence("starting").key == absence("waiting").key == "starting"
    assert absence("stopped").key == absence("ready").key == absence("").key == "down"


def test_the_model_hears_no_complaints_of_the_page() -> None:
    history = [
        {"role": "user", "content": [{"type": "text", "text": "one"}]},
        {"role": "assistant", "content": "1"},
        {"role": "user", "content": "two"},
        {"role": "assistant", "content": "it is down", "metadata": {"title": f"{COMPLAINT}demo"}},
        {"role": "user", "content": "three"},
        {"role": "assistant", "content": "3", "metadata": None},
        {"role": "user", "content": "stopped before a word"},
    ]
    asked = conversation("be kind", history, "four")
    assert [(each["role"][0], each["content"]) for each in asked] == [
        *(("s", "be kind"), ("u", "one"), ("a", "1"), ("u", "three"), ("a", "3"), ("u", "four"))
    ]
    assert conversation(" ", [], "x") == [{"role": "user", "content": "x"}]


def test_the_browser_is_told_to_load_nothing_from_elsewhere() -> None:
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]})
        await send({"type": "http.response.body", "body": b""})

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {}

    asyncio.run(Guard(app)({"type": "http"}, receive, send))
    assert (b"a", b"b") in sent[0]["headers"]
    assert (b"content-security-policy", POLICY.encode()) in sent[0]["headers"]


@pytest.mark.parametrize("options", [Options(listen="0.0.0.0"), Options(share=True)])
def test_others_want_a_login(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="wants a login"):
        login(options)
    monkeypatch.setenv("PROVISION_WEBUI_PASSWORD", "a secret")
    assert login(replace(options, user="mei")) == {"user": "mei", "password": "a secret"}
    assert login(Options()) == {}


def test_addresses() -> None:
    lines = list(webui_address.introduction("127.0.0.1", 7860, None, "5.15.167.4-microsoft-standard-WSL2"))
    assert lines[0].startswith("Chat at http://127.0.0.1:7860 ")
    assert "http://localhost:7860" in lines[1]
    assert len(list(webui_address.introduction("::", 7860, None, "6.1.0-28-amd64"))) == 1
    assert webui_address.url("::", 1) == "http://[::1]:1"
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConfigurationError, match="cannot listen"):
        webui_address.require_free("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(ConfigurationError, match="between 1 and 65535"):
        webui_address.require_free("127.0.0.1", 99999)


class _Echo(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body[::-1])

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[http.server.ThreadingHTTPServer]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Echo) as one:
        threading.Thread(target=one.serve_forever, daemon=True).start()
        yield one
        one.shutdown()


def test_a_tunnel_leads_there_or_says_why_not(server: http.server.ThreadingHTTPServer, tmp_path: Path) -> None:
    described = tmp_path / "inventory.yaml"
    variables = {**DEMO, "services": {"demo": {"model": "demo", "port": server.server_port}}}
    described.write_text(json.dumps({"all": {"hosts": {"here": {"ansible_connection": "local"}}, "vars": variables}}))
    (entry,) = inventory.load(described).select()
    way = Way(entry)
    with tunnel(way, entry.settings.resolved_services()["demo"]) as url:
        body = b"x" * 200_000 + b"y"
        assert urllib.request.urlopen(f"{url}/v1", body, timeout=30).read() == body[::-1]
        server.shutdown()
        server.server_close()
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{url}/v1", b"x", timeout=30)
    assert refused.value.code == 503
    assert json.load(refused.value)["error"] == {"type": "tunnel", "message": "", "code": ""}
    way.close()
