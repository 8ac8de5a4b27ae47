"""The chat page, used by a person in a real Chromium: the real demo service on a host, reached through SSH.

The tests are one story: the service is stopped when the page is opened, and each test goes on where the one before it
stopped.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser, expect

from provisioning.clients.demo_model import QUESTIONS

from .browser import Chat, again, answered, ask, begin, box, button, certain, choose, chromium, kept, said
from .controller import Controller, Running
from .machine import Machine
from .proxy import Proxy
from .serving import BOOT, QUESTION, answers, free_port, process, served, settings, starting, wait_until, yielding

pytestmark = pytest.mark.timeout(1200)
ENGLISH = "Why is the sky blue?"
PHONE = {"viewport": {"width": 375, "height": 667}, "is_mobile": True, "has_touch": True, "color_scheme": "dark"}


@dataclass
class Story:
    """A machine, the page for its service, and who looks at it."""

    machine: Machine
    line: Proxy
    port: int
    controller: Controller
    running: Running
    url: str
    browser: Browser

    def open(self, **options: Any) -> Chat:
        """Open the page, as a browser in English unless told otherwise."""
        return Chat(self.browser, self.url, **{"locale": "en-US", **options})

    def metric(self, name: str) -> float:
        """A counter or gauge of vLLM's."""
        text = httpx2.get(f"http://127.0.0.1:{self.port}/metrics", trust_env=False, timeout=60).text
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(f"{name}{{"))

    def is_asked(self) -> bool:
        """Whether the page has a connection to the service, through the machine's sshd."""
        command = ["ss", "-Htnp", "dport", "=", f":{self.port}"]
        return "sshd" in subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def story(
    pytestconfig: pytest.Config,
    ssh_key: Path,
    module_machine: Callable[..., Machine],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Story]:
    """The page, started by a person; the service is not yet."""
    folder = tmp_path_factory.mktemp("controller")
    bare = served(pytestconfig, ssh_key, folder / "first")
    machine = module_machine("bookworm", like=bare.machine, start=False)
    (machine.root / "etc/systemd/system/multi-user.target.wants/vllm@demo.service").unlink()
    machine.start(BOOT)
    port = free_port()
    with chromium(port) as browser, Proxy((machine.address, machine.port), listen=machine.address) as line:
        told = settings(bare.port)
        told["services"]["spare"] = {"model": "demo", "port": free_port()}
        controller = Controller(folder / "later").manage(machine, through=line, **told)
        running = controller.start("webui", "--port", str(port))
        running.wait_for(f"Chat at http://127.0.0.1:{port}", 500)
        yield Story(machine, line, bare.port, controller, running, f"http://127.0.0.1:{port}", browser)
        running.process.kill()


@pytest.fixture(scope="module")
def chat(story: Story) -> Iterator[Chat]:
    """A browser in English."""
    opened = story.open(viewport={"width": 1000, "height": 700})
    yield opened
    opened.close()


def test_what_is_wrong_is_told_and_it_answers_once_it_is_back(story: Story) -> None:
    """In the browser's language, which is Chinese; what was asked is still there."""
    chat, name = story.open(locale="zh-CN"), f"demo · {story.machine.name}"
    page = chat.page
    certain(page, settings="参数")
    story.line.refusing = True
    story.line.cut()
    ask(page, QUESTION)
    page.get_by_text(f"无法连接 {name} 所在的主机").wait_for()
    story.line.refusing = False
    again(page)
    page.get_by_text(f"{name} 没有响应").wait_for()
    assert "invoke status" in said(page)
    with starting(story.machine):
        again(page)
        page.get_by_text(f"{name} 正在启动").wait_for()
    wait_until(lambda: answers(story.port), "answer", BOOT)
    again(page)
    answered(page, QUESTIONS[QUESTION])
    assert "正在启动" not in said(page)
    chat.close()


def test_the_presets_are_the_tutorials(chat: Chat) -> None:
    page = chat.page
    button(page, "Parameters").click()
    numbers = page.locator("input[type=number]:visible")
    expect(numbers).to_have_count(4)
    values = {field.input_value() for field in numbers.all()}
    assert values == {"0.7", "0.8", "1.05", "512"}
    assert page.get_by_label("System prompt").input_value() == "You are a helpful assistant."
    button(page, "Parameters").click()


def test_the_answer_is_streamed_and_complete(story: Story, chat: Chat) -> None:
    page = chat.page
    certain(page)
    with yielding(story.machine):
        ask(page, ENGLISH)
        answered(page, QUESTIONS[ENGLISH])
    grown = set(page.evaluate("window.seen"))
    assert any(text and text != QUESTIONS[ENGLISH] and QUESTIONS[ENGLISH].startswith(text) for text in grown), grown


def test_one_service_may_be_down_beside_another(story: Story, chat: Chat) -> None:
    page = chat.page
    choose(page, "spare")
    ask(page, "Hello")
    page.get_by_text(f"spare · {story.machine.name} does not answer").wait_for()
    choose(page, "demo")
    again(page)
    answered(page, QUESTIONS["Hello"])
    assert "does not answer" not in said(page)
    begin(page)
    ask(page, ENGLISH)
    answered(page, QUESTIONS[ENGLISH])


def test_conversations_outlive_a_reload(story: Story) -> None:
    """Each in the browser, which tells nobody: to be taken up again, and deleted."""
    chat = story.open()
    page = chat.page
    certain(page)
    for question in ("Hello", "What is vLLM?"):
        begin(page)
        ask(page, question)
        answered(page, QUESTIONS[question])
    page.reload()
    answered(page, QUESTIONS["What is vLLM?"])
    expect(kept(page)).to_have_text(["What is vLLM?", "Hello"])
    kept(page).last.click()
    answered(page, QUESTIONS["Hello"])
    certain(page)
    ask(page, ENGLISH)
    answered(page, QUESTIONS[ENGLISH])
    assert "vLLM" not in said(page)
    other = chat.tab()
    expect(kept(other)).to_have_text(["Hello", "What is vLLM?"])
    button(page, "Clear").click()
    expect(kept(other)).to_have_text(["What is vLLM?"])
    chat.close()


def test_again(story: Story, chat: Chat) -> None:
    before = story.metric("vllm:request_success_total")
    again(chat.page)
    wait_until(lambda: story.metric("vllm:request_success_total") > before, "second answer", 120)
    answered(chat.page, QUESTIONS[ENGLISH])
    assert said(chat.page).count(ENGLISH) == 1
    assert said(chat.page).count(QUESTIONS[ENGLISH]) == 1


def test_stop_ends_the_request(story: Story) -> None:
    """The engine is held, so that there is time to press the button."""
    chat = story.open()
    engine = process(story.machine, "EngineCore")
    made = story.metric("vllm:generation_tokens_total")
    story.machine.run(f"kill -STOP {engine}")
    try:
        ask(chat.page, "Hello")
        chat.page.locator("button.stop-button").click()
        chat.page.locator("button.submit-button").wait_for()
        wait_until(lambda: not story.is_asked(), "end of the connection", 120)
    finally:
        story.machine.run(f"kill -CONT {engine}")
    wait_until(lambda: not story.metric("vllm:num_requests_running"), "end of the request", 120)
    assert story.metric("vllm:num_requests_waiting") == 0
    assert story.metric("vllm:generation_tokens_total") - made < 10
    certain(chat.page)
    ask(chat.page, "Hello")
    answered(chat.page, QUESTIONS["Hello"])
    chat.close()


def test_two_tabs_do_not_mix(chat: Chat) -> None:
    one, other = chat.page, chat.tab()
    certain(other)
    for page, question in ((one, "What is vLLM?"), (other, "Hello")):
        ask(page, question)
    for page, question in ((one, "What is vLLM?"), (other, "Hello")):
        answered(page, QUESTIONS[question])
    assert QUESTIONS["Hello"] not in said(one)
    assert QUESTIONS["What is vLLM?"] not in said(other)
    other.close()


def test_too_long_a_conversation_is_told(chat: Chat) -> None:
    ask(chat.page, "sky " * 6000)
    chat.page.get_by_text("This conversation is too long for demo").wait_for()
    assert "4096 tokens" in said(chat.page)
    ask(chat.page, "Hello")
    answered(chat.page, QUESTIONS["Hello"])


def test_a_broken_connection_is_made_anew(story: Story, chat: Chat) -> None:
    story.line.cut()
    ask(chat.page, "Hello")
    answered(chat.page, QUESTIONS["Hello"])
    story.line.refusing = True
    story.line.cut()
    ask(chat.page, "Hello")
    chat.page.get_by_text(f"The host of demo · {story.machine.name} cannot be reached").wait_for()
    story.line.refusing = False


def test_a_phone_in_chinese_and_dark(story: Story) -> None:
    chat = story.open(locale="zh-CN", **PHONE)
    page = chat.page
    assert "请输入问题" in (box(page).get_attribute("placeholder") or "")
    certain(page, settings="参数")
    ask(page, "你好")
    answered(page, QUESTIONS["你好"])
    button(page, "参数").click()
    page.get_by_label("系统提示词").wait_for()
    button(page, "参数").click()
    button(page, "Toggle Sidebar").click()
    expect(kept(page)).to_have_text(["你好"])
    kept(page).first.click()
    answered(page, QUESTIONS["你好"])
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    assert page.evaluate("document.body.classList.contains('dark')")
    chat.close()


def test_nothing_comes_from_outside(story: Story, chat: Chat) -> None:
    """Nor could it: an answer may name pictures, and the browser is told to load none."""
    assert {url for url in chat.requests if not url.startswith((story.url, "data:", "blob:"))} == set()
    assert not chat.complaints
    policy = httpx2.get(story.url, trust_env=False).headers["content-security-policy"]
    assert "default-src 'self'" in policy


@pytest.mark.full
def test_a_killed_server_is_told_and_answers_once_it_is_back(story: Story, chat: Chat) -> None:
    story.machine.run(f"kill -KILL {process(story.machine, 'api_server')}")
    ask(chat.page, ENGLISH)
    chat.page.get_by_text("Your conversation is kept").last.wait_for()
    wait_until(lambda: answers(story.port), "answer", BOOT)
    again(chat.page)
    answered(chat.page, QUESTIONS[ENGLISH])


def test_ctrl_c_ends_all_of_it(story: Story) -> None:
    child = story.running.process.pid
    assert "cannot listen" in story.controller.run("webui", "--port", story.url.rpartition(":")[2]).output
    story.running.send(signal.SIGINT)
    done = story.running.done(60)
    assert done.code == 0, done.output
    assert not Path(f"/proc/{child}").exists()
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(story.url, trust_env=False)
