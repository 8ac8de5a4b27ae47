"""A conversation at a real terminal, with a small server of OpenAI's API."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hosts.controller import Controller
from hosts.openai_server import OpenAiServer
from hosts.terminal import Terminal

PROMPT = "demo>"
CTRL_C, CTRL_D, ALT_ENTER, UP = "\x03", "\x04", "\x1b\r", "\x1b[A"


@pytest.fixture
def server() -> Iterator[OpenAiServer]:
    with OpenAiServer("sesame") as server:
        yield server


@pytest.fixture
def controller(tmp_path: Path, server: OpenAiServer) -> Controller:
    """This machine has the service of a key, and one that nobody serves."""
    controller = Controller(tmp_path / "home")
    controller.environment |= {"DEMO_KEY": "sesame"}
    controller.environment.pop("XDG_STATE_HOME", None)
    service = {"model": "demo", "port": server.port, "api_key": {"env": "DEMO_KEY"}}
    other = {"model": "other", "port": 1, "api_key": "none"}
    told: dict[str, Any] = {"models": {"demo": {"method": "demo"}, "other": {"path": "/srv/other"}}}
    hosts = {"here": {"ansible_connection": "local"}}
    return controller.write({"all": {"hosts": hosts, "vars": {**told, "services": {"demo": service, "down": other}}}})


@pytest.fixture
def person(controller: Controller) -> Iterator[Terminal]:
    person = Terminal(controller, "chat")
    person.wait_for("asking demo (here/demo)", PROMPT)
    yield person
    if person.process.poll() is None:
        person.type("\r/bye\r")
        person.process.kill()


def say(person: Terminal, text: str, *shown: str) -> str:
    """Type a line, and wait for what is to be shown, and for the next prompt."""
    person.type(f"{text}\r")
    return person.wait_for(*shown, PROMPT)


def test_questions_and_what_was_said_before(person: Terminal, server: OpenAiServer, controller: Controller) -> None:
    say(person, "abc 天空", "空天 cba")
    say(person, "wxyz", "zyxw")
    say(person, "/system be brief", "system: be brief")
    say(person, "/set temperature 0.25", "temperature 0.25, top_p 0.8")
    say(person, "/set temprature 1", "there is no parameter 'temprature'", 'Did you mean "temperature"?')
    say(person, "/set top_p 2", "top_p: should be less than or equal to 1")
    say(person, "cut 1", "1 tuc", "(cut off after 512 tokens")
    said = [message["content"] for message in server.asked[-1]["messages"]]
    assert said == ["be brief", "abc 天空", "空天 cba", "wxyz", "zyxw", "cut 1"]
    told = {"temperature": 0.25, "top_p": 0.8, "repetition_penalty": 1.05, "max_tokens": 512, "model": "demo"}
    assert told.items() <= server.asked[-1].items()
    assert server.asked[0]["temperature"] == 0.7
    say(person, "/clear", "Forgotten.")
    say(person, "qrs", "srq")
    assert [message["content"] for message in server.asked[-1]["messages"]] == ["be brief", "qrs"]
    say(person, "empty", "(an empty answer)")
    say(person, "/help", "(HOST/SERVICE) or model from now on;", "          without a name, list them.")
    say(person, "/nosuch", "there is no command /nosuch")
    say(person, "/modle", 'Did you mean "/model"?')
    say(person, " /nosuch", "hcuson/")
    person.type(CTRL_D)
    assert person.end() == 0
    file = controller.home / ".local/state/vllm-provisioning/chat-history"
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert "+abc 天空" in file.read_text()
    assert "sesame" not in person.output


def test_ctrl_c_stops_the_answer_and_not_the_program(person: Terminal, server: OpenAiServer) -> None:
    person.type("long\r")
    person.wait_for("and on and on and on ")
    person.type(CTRL_C)
    person.wait_for("(stopped; what has come is kept)", PROMPT)
    deadline = time.monotonic() + 60
    while server.running:
        assert time.monotonic() < deadline, "the server still answers"
        time.sleep(0.05)
    say(person, "abc", "cba")
    _, kept, _ = server.asked[-1]["messages"]
    assert kept["content"].startswith("and on and on")
    person.type("half a line")
    person.wait_for("half a line")
    person.type(CTRL_C)
    say(person, "xyz", "zyx")
    person.type(CTRL_C)
    person.wait_for("Leave with /bye or Ctrl-D.", PROMPT)
    person.type("/bye\r")
    assert person.end() == 0


def test_several_lines(person: Terminal, server: OpenAiServer) -> None:
    say(person, f"ab{ALT_ENTER}cd", "dc")
    say(person, '"""ef\rgh\r"""', "hg")
    say(person, "\x1b[200~ij\nkl\x1b[201~", "lk")
    said = [message["content"] for message in server.asked[-1]["messages"] if message["role"] == "user"]
    assert said == ["ab\ncd", "ef\ngh", "ij\nkl"]
    say(person, UP, "lk")


def test_saved_and_loaded(person: Terminal, server: OpenAiServer, controller: Controller) -> None:
    say(person, "/system kurz", "system: kurz")
    say(person, "天 b", "b 天")
    say(person, "/save talk.json", "saved as talk.json")
    file = controller.home / "talk.json"
    saved = json.loads(file.read_text())
    assert saved["messages"] == [{"role": "user", "content": "天 b"}, {"role": "assistant", "content": "b 天"}]
    assert (saved["system"], saved["service"], file.stat().st_mode & 0o777) == ("kurz", "here/demo", 0o600)
    say(person, "/save talk.md", "saved as talk.md")
    text = (controller.home / "talk.md").read_text()
    assert text == "# demo (here/demo)\n\n> kurz\n\n## You\n\n天 b\n\n## demo\n\nb 天\n"
    person.type("/save talk.json\r")
    person.wait_for("Replace it? [y/N]")
    person.type("n\r")
    person.wait_for("Nothing was changed.", PROMPT)
    person.type("/save talk.json\r")
    person.wait_for("Replace it? [y/N]")
    person.type(CTRL_D)
    person.wait_for("Nothing was changed.", PROMPT)
    say(person, "/clear", "Forgotten.")
    say(person, "/load talk.json", "2 messages")
    say(person, "cd", "dc")
    assert len(server.asked[-1]["messages"]) == 4
    say(person, "/load talk.md", "talk.md is no conversation that /save wrote as JSON")
    say(person, "/save /nonexistent/x", "cannot be written", "No such file")
    subprocess.run(["prlimit", "--pid", str(person.process.pid), "--fsize=0"], check=True)  # as on a full disk
    say(person, "ef", "fe")
    say(person, "/save full.json", "full.json cannot be written")


def test_other_services_and_models(person: Terminal, server: OpenAiServer) -> None:
    say(person, "/model", "* here/demo", "here/down", "demo-小")
    person.type("/model demo-小\r")
    person.wait_for("asking demo-小 (here/demo)", "demo-小>")
    person.type("abc\r")
    person.wait_for("cba", "demo-小>")
    assert server.asked[-1]["model"] == "demo-小"
    person.type("/model down\r")
    person.wait_for("asking other (here/down)", "other>")
    person.type("abc\r")
    person.wait_for("here: down does not answer at 127.0.0.1:1", "other>")
    person.type("/model\r")
    person.wait_for("here/demo", "* here/down", "down does not answer", "other>")
    say(person, "/model here/demo", "asking demo (here/demo)")
    say(person, "/model nosuch", "there is no service or model 'nosuch'")
    say(person, "abc", "cba")
    assert len(server.asked[-1]["messages"]) == 3


def test_faults_end_an_answer_and_not_the_conversation(person: Terminal, server: OpenAiServer) -> None:
    say(person, "abc", "cba")
    say(person, "too long", "this is too long for demo", "maximum context length is 200", "/clear begins anew")
    say(person, "break", "and on", "does not answer")
    server.stop()
    say(person, "abc", "does not answer", "Connection refused", "invoke status")
    server.start()
    say(person, "xyz", "zyx")
    said = [message["content"] for message in server.asked[-1]["messages"]]
    assert said == ["abc", "cba", "break", "and on ", "xyz"]
    server.key = "another"
    say(person, "xyz", "demo refuses the API key")


def test_one_question(controller: Controller) -> None:
    """The answer steers no terminal, and what broke it off has a line of its own."""
    asked = Terminal(controller, "chat", "m]2;x[\x1bcba")
    assert asked.end() == 0
    assert asked.output.endswith("abc�[x;2]m\r\n")
    assert "and on \n✗ here: demo does not answer" in controller.run("chat", "break").output


def test_a_question_that_is_typed_as_standard_input(controller: Controller) -> None:
    """It is asked for: nothing else would say that somebody waits."""
    asked = Terminal(controller, "chat", "-")
    asked.wait_for("Type the question; Ctrl-D on a line of its own ends it.")
    asked.type(f"abc\r{CTRL_D}")
    assert asked.end() == 0
    assert "cba" in asked.news


def test_ctrl_d_at_a_question_for_a_password_is_none(controller: Controller) -> None:
    asked = Terminal(controller, "webui", "--service", "down", "--user", "mei")
    asked.wait_for("password for mei on the chat page: ")
    asked.type(CTRL_D)
    assert asked.end() == 3
    assert "--user wants a password, and there is none" in asked.output
