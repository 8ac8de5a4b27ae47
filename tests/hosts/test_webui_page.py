"""The chat page in a real Chromium, where answers are such as the demo model never gives: endless ones, and HTML."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from .browser import Chat, answered, ask, box, choose, chromium
from .controller import Controller
from .openai_server import OpenAiServer
from .system import free_port

pytestmark = pytest.mark.timeout(900)
COVER = '<div style="position:fixed;inset:0;z-index:99999;background:red">cover</div>'
LIST = "document.querySelector('#conversation .bubble-wrap')"


@pytest.fixture(scope="module")
def server() -> Iterator[OpenAiServer]:
    with OpenAiServer() as server:
        yield server


@pytest.fixture(scope="module")
def page(server: OpenAiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The page for a service of this machine, which gives back what it is asked, backwards."""
    services = {name: {"model": "demo", "port": port} for name, port in (("demo", server.port), ("down", 1))}
    told = {"models": {"demo": {"method": "demo"}}, "services": services}
    controller = Controller(tmp_path_factory.mktemp("controller") / "home")
    controller.write({"all": {"hosts": {"here": {"ansible_connection": "local"}}, "vars": told}})
    port = free_port()
    with chromium(port) as browser:
        running = controller.start("webui", "--port", str(port))
        running.wait_for(f"Chat at http://127.0.0.1:{port}", 500)
        yield Chat(browser, f"http://127.0.0.1:{port}", locale="en-US", viewport={"width": 360, "height": 640}).page
        running.send(signal.SIGTERM)
        running.done(60)


def test_nothing_is_not_asked(page: Page, server: OpenAiServer) -> None:
    box(page).press("Enter")
    box(page).fill(" \n ")
    page.locator("button.submit-button").click()
    ask(page, "abc")
    answered(page, "cba")
    assert [asked["messages"][-1]["content"] for asked in server.asked] == ["abc"]


def test_an_answer_covers_nothing_but_itself(page: Page) -> None:
    ask(page, COVER[::-1])
    answered(page, "cover")
    page.get_by_role("combobox", name="Service").click(trial=True, timeout=10_000)


def test_who_reads_what_came_before_is_not_pulled_down(page: Page) -> None:
    """Whoever is at the end sees it grow."""
    ask(page, "long")
    answer = page.locator(".bot.message").last
    expect(answer).to_contain_text("and on " * 100)
    at_end = f"{LIST}.scrollHeight - {LIST}.clientHeight - {LIST}.scrollTop < 50"
    page.wait_for_function(at_end)
    answer.hover()
    page.mouse.wheel(0, -300)
    page.wait_for_function(f"!({at_end})")
    top, length = page.evaluate(f"{LIST}.scrollTop"), len(answer.inner_text())
    page.wait_for_function(
        "length => [...document.querySelectorAll('.bot.message')].at(-1).innerText.length > length", arg=length + 100
    )
    assert page.evaluate(f"{LIST}.scrollTop") <= top
    page.locator("button.stop-button").click()
    page.locator("button.submit-button").wait_for()
    choose(page, "down")
    ask(page, "abc")
    page.get_by_text("once it is back").wait_for()
    page.wait_for_function(at_end)
