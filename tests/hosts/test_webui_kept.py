"""The chat page that a host keeps, with a login, in a real Chromium."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from provisioning.clients.demo_model import QUESTIONS

from .browser import PATIENCE, answered, ask, certain, chromium
from .controller import Controller
from .machine import Machine
from .serving import BOOT, free_port, served, settings

pytestmark = pytest.mark.timeout(1800)
ENGLISH = "Why is the sky blue?"


@dataclass
class Place:
    """A machine that serves, its controller, and who looks at the page."""

    machine: Machine
    controller: Controller
    browser: Browser
    port: int
    service_port: int


@pytest.fixture
def place(
    pytestconfig: pytest.Config, ssh_key: Path, machine: Callable[..., Machine], tmp_path: Path
) -> Iterator[Place]:
    bare, port = served(pytestconfig, ssh_key, tmp_path / "first"), free_port()
    serving = machine("bookworm", like=bare.machine, start=False).start(BOOT)
    with chromium(port) as browser:
        yield Place(serving, Controller(tmp_path / "later"), browser, port, bare.port)


@pytest.mark.full
def test_a_page_that_the_host_keeps(place: Place) -> None:
    """With a login, behind which the service has a key: neither reaches the browser."""
    port, machine, controller = place.port, place.machine, place.controller
    told = settings(place.service_port, api_key="generate")
    told["webui"] = {"enabled": True, "port": port, "user": "mei", "password": "generate"}
    controller.manage(machine, **told)
    first = controller.succeed("serve", timeout=900)
    assert f"vllm-webui: start; a chat page at http://127.0.0.1:{port}" in first
    assert "nothing to do" in controller.succeed("serve")
    key, password = machine.run("cat /etc/vllm/demo.key /etc/vllm/webui.password").stdout.split()
    rated = machine.run("systemd-analyze security --no-pager vllm-webui").stdout
    assert "OK" in rated.splitlines()[-1], rated
    page = place.browser.new_page(locale="en-US")
    page.set_default_timeout(PATIENCE)
    page.goto(f"http://127.0.0.1:{port}")
    for field, text in (("input[type=text], textarea", "mei"), ("input[type=password]", password)):
        page.locator(field).first.fill(text)
    page.get_by_role("button", name="Login").click()
    page.get_by_placeholder("Ask something").wait_for()
    certain(page)
    ask(page, ENGLISH)
    answered(page, QUESTIONS[ENGLISH])
    assert key not in page.content()
    assert password not in page.content()
    machine.run("cp -p /etc/vllm/demo.key /root/key && echo wrong >/etc/vllm/demo.key")
    ask(page, ENGLISH)
    page.get_by_text(f"demo · {machine.name} refuses the API key").wait_for()
    machine.run("cp -p /root/key /etc/vllm/demo.key")
    _is_controlled_by_name(controller)
    told["webui"] |= {"enabled": False}
    controller.manage(machine, **told)
    assert "vllm-webui: stop" in controller.succeed("serve")
    assert "nothing to do" in controller.succeed("serve")
    assert machine.run("systemctl is-active vllm-webui", check=False).stdout == "inactive\n"
    controller.succeed("remove", "--yes", "--keep-models")
    left = "ls -d /etc/systemd/system/vllm-webui.service /etc/vllm/webui.* /var/lib/vllm/venvs/vllm-webui 2>/dev/null"
    assert machine.run(left, check=False).stdout == ""


def _is_controlled_by_name(controller: Controller) -> None:
    assert "webui: stopped" in controller.succeed("stop", "--service", "webui")
    assert re.search(r"webui +stopped", controller.run("status").output)
    assert "webui: serving at http" in controller.succeed("start", "--service", "webui")
    assert "webui: serves already" in controller.succeed("start", "--service", "webui")
    assert re.search(r"webui +ready", controller.succeed("status"))
    assert '"serving": true' in controller.succeed("logs", "--service", "webui")
