"""From a bare Debian machine, over SSH, to the answer of a real vLLM that systemd keeps alive; then its whole life.

The tests are one story on one machine: each goes on where the one before it stopped.
"""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai
import pytest
from hosts.controller import Controller
from hosts.machine import Machine
from hosts.proxy import Proxy
from hosts.serving import (
    BOOT,
    QUESTION,
    Served,
    answer,
    answers,
    client,
    free_port,
    metric,
    process,
    processes,
    served,
    settings,
    state,
    wait_until,
    yielding,
)
from hosts.snapshot import snapshot
from hosts.terminal import Terminal
from hosts.watching import command_lines

from provisioning import converge, fleet, inventory, steps
from provisioning.clients.demo_model import QUESTIONS
from provisioning.outcome import Outcome
from provisioning.report import Report

pytestmark = pytest.mark.timeout(1200)


@dataclass
class Story:
    """The machine, and what was learnt on the way."""

    bare: Served
    machine: Machine
    controller: Controller
    settings: dict[str, Any]
    key: str = ""
    said: list[str] = field(default_factory=list)
    """All that the commands have printed since there is a key."""
    person: Terminal | None = None
    """Somebody who talks with the services while they are stopped and started."""

    @property
    def port(self) -> int:
        return self.bare.port

    def type(self, *arguments: str, timeout: float = 400) -> str:
        """Type a command, which is to succeed, with the settings as they are now."""
        self.controller.manage(self.machine, **self.settings)
        self.said.append(self.controller.succeed(*arguments, timeout=timeout))
        return self.said[-1]

    def serve(self, name: str = "demo", **changes: Any) -> None:
        """Edit the inventory's settings of a service."""
        self.settings["services"].setdefault(name, {}).update(changes)


@pytest.fixture(scope="module")
def story(
    pytestconfig: pytest.Config,
    ssh_key: Path,
    module_machine: Callable[..., Machine],
    tmp_path_factory: pytest.TempPathFactory,
) -> Story:
    """The machine after `invoke up`, switched off, and not yet on again."""
    folder = tmp_path_factory.mktemp("controller")
    bare = served(pytestconfig, ssh_key, folder / "first")
    machine = module_machine("bookworm", like=bare.machine, start=False)
    return Story(bare, machine, Controller(folder / "later"), settings(bare.port))


LONG = 3500
"""Tokens of an answer that is to take its while."""


def say(person: Terminal, text: str, *shown: str) -> None:
    """Type a line into a conversation with the demo model, and wait for what is to be shown, and the next prompt."""
    person.type(f"{text}\r")
    person.wait_for(*shown, "demo>")


def test_one_command_takes_a_bare_machine_to_an_answer(story: Story) -> None:
    said = story.bare.first.output
    print(f"\nup, from a bare machine: {story.bare.first.seconds:.0f} s")
    assert f"? {QUESTION}\n  {QUESTIONS[QUESTION]}" in said
    assert f"demo serves demo at http://127.0.0.1:{story.port}/v1" in said
    assert "system: install " in said
    assert "failed" not in said.splitlines()[-1]


def test_it_serves_again_by_itself_after_a_boot(story: Story) -> None:
    began = time.monotonic()
    story.machine.start(BOOT)
    wait_until(lambda: answers(story.port), "answer", BOOT)
    print(f"\nserving {time.monotonic() - began:.0f} s after power on")
    assert state(story.machine)["phase"] == "ready"
    assert state(story.machine)["restarts"] == 0


def test_again_there_is_nothing_to_do(story: Story) -> None:
    pid = process(story.machine, "api_server")
    began = time.monotonic()
    said = story.type("up")
    print(f"\nup, with nothing to do: {time.monotonic() - began:.1f} s")
    assert time.monotonic() - began < 60
    assert "nothing to do" in said
    assert QUESTION not in said
    assert process(story.machine, "api_server") == pid


def test_looking_costs_one_connection_and_one_round_trip(
    story: Story, proxy: Callable[[Machine], Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted where they are made, and on the line between. A host that was never reached there takes one more."""
    line = proxy(story.machine)
    story.controller.manage(story.machine, **story.settings, host_keys="accept-new")
    text = re.sub(r"      ansible_port: \d+\n", "", story.controller.inventory.read_text())
    text = text.replace("      ansible_user:", f"      ansible_port: {line.port}\n      ansible_user:")
    story.controller.inventory.write_text(text)
    monkeypatch.setenv("HOME", str(story.controller.home))
    (entry,) = inventory.load(story.controller.inventory).select()
    for trips in (2, 1):
        host = fleet.open_host(entry)
        try:
            seen = converge.apply(host, entry, steps.SERVE, Outcome(entry.name), report=Report(), run_id="counted")
        finally:
            host.close()
        assert (seen.status, seen.changes) == ("ok", [])
        assert host.round_trips == trips
    assert line.connections == 2


def test_plan_and_status_see_it_as_it_should_be(story: Story) -> None:
    assert "nothing to do" in story.type("plan", "--detailed-exitcode")
    name = story.machine.name
    planned = json.loads(story.type("plan", "--json"))["hosts"][name]
    assert planned == {"status": "ok", "changes": [], "error": None}
    found = json.loads(story.type("status", "--json"))["hosts"][name]
    assert (found["status"], found["error"]) == ("ok", None)
    (service,) = found["services"]
    wanted = {"name": "demo", "active": "active", "phase": "ready", "restarts": 0}
    assert wanted.items() <= service.items()
    assert service["url"] == f"http://127.0.0.1:{story.port}"
    row = rf"{name} +demo +ready +\d.* 0 +demo +0\.\d+\.\d+\S* .* http://127.0.0.1:{story.port} +converged"
    assert re.search(row, story.type("status"))


def test_chat_goes_through_a_tunnel(story: Story) -> None:
    assert story.type("chat", QUESTION).strip() == QUESTIONS[QUESTION]


def test_a_conversation_outlives_its_answers_and_its_connection(
    story: Story, proxy: Callable[[Machine], Proxy]
) -> None:
    line = proxy(story.machine)
    person = Terminal(story.controller.manage(story.machine, through=line, **story.settings), "chat")
    person.wait_for(f"asking demo ({story.machine.name}/demo)", "demo>")
    for text in ("temperature 0", "repetition_penalty 1", "ignore_eos true", f"max_tokens {LONG}"):
        say(person, f"/set {text}", text.partition(" ")[0])
    with yielding(story.machine):
        before = metric(story.port, "generation_tokens_total")
        person.type("Hello\r")
        person.wait_for(QUESTIONS["Hello"])
        person.type("\x03")
        person.wait_for("(stopped; what has come is kept)", "demo>")
        wait_until(lambda: metric(story.port, "num_requests_running") == 0, "end of the request", 60)
        assert metric(story.port, "generation_tokens_total") - before < LONG
    line.cut()
    say(person, "/clear", "Forgotten")
    say(person, "/set ignore_eos", "max_tokens")
    say(person, QUESTION, QUESTIONS[QUESTION])
    person.type("/bye\r")
    assert person.end() == 0
    assert line.connections == 2


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_answer_is_exact(story: Story, question: str) -> None:
    assert answer(story.port, question) == QUESTIONS[question]


def _demo(story: Story) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(story.type("status", "--json"))["hosts"][story.machine.name]
    assert (found["reachable"], found["converged"]) == (True, True)
    (service,) = found["services"]
    return dict(service)


def _sampled(story: Story) -> float:
    """When serve.py last read vLLM's counters, by the clock that all machines share; 0 where it has not yet."""
    return float(json.loads(story.machine.run("cat /run/vllm/demo/metrics.json").stdout).get("at", 0))


def test_status_counts_what_people_ask(story: Story) -> None:
    """Not what serve.py asks: nobody but it asked while this waited for an answer."""
    began = time.time()
    wait_until(lambda: state(story.machine)["phase"] == "ready", "phase", 120)
    # The answers of the tests before were counted by then.
    wait_until(lambda: _sampled(story) > began, "sample", 60)
    before = _demo(story)
    done = client(story.port).chat.completions.create(
        model="demo", messages=[{"role": "user", "content": QUESTION}], max_tokens=200, temperature=0
    )
    assert done.usage
    wanted = {
        "requests_total": 1,
        "prompt_tokens_total": done.usage.prompt_tokens,
        "generation_tokens_total": done.usage.completion_tokens,
    }

    def counted() -> bool:
        now = _demo(story)
        # On a busy machine serve.py may give a question up that vLLM answers, and counts, after all.
        return all(0 <= now[name] - before[name] - number <= 2 for name, number in wanted.items())

    wait_until(counted, "count", 60)
    after = _demo(story)
    assert after["uptime_seconds"] > before["uptime_seconds"] > 0
    assert after["memory_bytes"] > 2e8
    assert 0 < after["rate_period_seconds"] < 60
    assert (after["requests_running"], after["requests_waiting"], after["model"]) == (0, 0, "demo")
    print("\n" + json.dumps(after, indent=1))


def test_rates_while_it_is_asked(story: Story) -> None:
    def asked() -> bool:
        assert answer(story.port)
        found = _demo(story)
        return bool(found["requests_per_second"] and found["generation_tokens_per_second"])

    wait_until(asked, "rate", 120)


def test_watch_goes_on_when_the_host_comes_back(story: Story, proxy: Callable[[Machine], Proxy]) -> None:
    line = proxy(story.machine)
    story.controller.manage(story.machine, through=line, **story.settings)
    shown = Terminal(story.controller, "status", "--watch", "1")
    shown.wait_until(lambda output: len(set(re.findall(r"(\d\d:\d\d:\d\d) +1 host: 1 ready", output))) > 3, "refreshes")
    assert line.connections == 1
    line.refusing = True
    line.cut()
    shown.wait_until(lambda output: "1 host: 1 unreachable" in output, "that it is away")
    line.refusing = False
    shown.wait_until(lambda output: "1 ready" in output.rpartition("1 unreachable")[2], "that it is back")
    assert shown.interrupt() == 0
    last = shown.output.rpartition("\x1b[?1049l")[2]
    assert "INVENTORY" in last
    assert "converged" in last


def test_watch_without_a_terminal(story: Story) -> None:
    for options in ([], ["--json"]):
        watching = story.controller.manage(story.machine, **story.settings).start("status", "--watch", *options)
        wait_until(lambda running=watching: running.output.count(story.machine.name) > 1, "two looks", 60)
        watching.send(signal.SIGINT)
        assert watching.done(60).code == 0
    looks = [json.loads(line) for line in watching.output.splitlines()]
    assert len(looks) > 1
    assert {look["hosts"][story.machine.name]["services"][0]["phase"] for look in looks} == {"ready"}


def test_it_is_shut_in(story: Story) -> None:
    rated = story.machine.run("systemd-analyze security --no-pager vllm@demo.service").stdout
    print("\n" + rated.splitlines()[-1])
    score = re.search(r"exposure level for vllm@demo.service: ([\d.]+)", rated)
    assert score
    assert float(score[1]) <= 2.0
    pid = process(story.machine, "api_server")
    assert "CapEff:\t0000000000000000" in story.machine.run(f"cat /proc/{pid}/status").stdout
    assert story.machine.run(f"stat -c %U /proc/{pid}").stdout == "vllm\n"
    assert story.machine.run(f"ss -Hltn sport = :{story.port}").stdout.split()[3] == f"127.0.0.1:{story.port}"


DROP_IN = "[Service]\nEnvironment=MY_OWN=setting\nNice=3\n"
FOLDER = "/etc/systemd/system/vllm@demo.service.d"


def test_settings_key_and_drop_in_take_effect_together(story: Story) -> None:
    """The key must show nowhere but in its file."""
    story.machine.run(f"mkdir {FOLDER} && printf %s '{DROP_IN}' >{FOLDER}/mine.conf")
    story.serve(max_model_len=200, api_key="generate")
    planned = story.controller.manage(story.machine, **story.settings).run("plan", "--detailed-exitcode")
    assert planned.code == 2, planned.output
    assert "service: service demo" in planned.output
    began = time.monotonic()
    seen: set[str] = set()
    with command_lines(seen):
        said = story.type("up", "--verbose")
        story.key = story.machine.run("cat /etc/vllm/demo.key").stdout.strip()
        print(f"\nup, with other settings: {time.monotonic() - began:.0f} s")
        assert answer(story.port, key=story.key) == QUESTIONS[QUESTION]
        assert story.type("chat", "Hello").strip() == QUESTIONS["Hello"]
    assert QUESTIONS[QUESTION] in said
    assert len(story.key) >= 40
    assert story.machine.run("stat -c '%a %U %G' /etc/vllm/demo.key").stdout == "600 vllm vllm\n"
    for key in ("none", "wrong"):
        with pytest.raises(openai.AuthenticationError):
            answer(story.port, key=key)
    (model,) = client(story.port, story.key).models.list()
    assert model.model_dump()["max_model_len"] == 200
    pid = process(story.machine, "api_server")
    assert "MY_OWN=setting" in story.machine.run(f"tr '\\0' '\\n' </proc/{pid}/environ").stdout
    assert story.machine.run(f"ps -o ni= -p {pid}").stdout.strip() == "3"
    assert story.machine.run(f"cat {FOLDER}/mine.conf").stdout == DROP_IN
    assert not [line for line in seen if story.key in line]
    assert "nothing to do" in story.type("up")


def test_snippets_run_as_they_are_printed(story: Story) -> None:
    """Over a tunnel of their own, with a key that shows nowhere."""
    seen: set[str] = set()
    # An engine that hurries gives many tokens at once.
    with yielding(story.machine), command_lines(seen, every=0.01):
        for _ in range(10):
            said = story.type("curl", "--run")
            assert said.count(QUESTIONS[QUESTION]) == 3
            assert said.count("data: ") > 5
            if any("/v1/chat/completions" in line for line in seen):
                break  # curl may be gone before anybody has looked
        else:
            pytest.fail("nobody saw curl")
    assert story.key
    assert not [line for line in seen if story.key in line]


def test_another_folder_beside_it_without_editing_a_file(story: Story) -> None:
    """Two services on one host; the first is left alone."""
    story.machine.run("cp -a /var/lib/vllm/ModelSpace/demo '/srv/other model' && chmod -R a+rX '/srv/other model'")
    port = free_port()
    story.serve("second", model="demo", port=port, eager=True)
    pid = process(story.machine, f"--port {story.port}")
    began = time.monotonic()
    said = story.type("up", "--model", "/srv/other model", "--service", "second")
    print(f"\nup, with a second service (eager): {time.monotonic() - began:.0f} s")
    assert f"second serves other-model at http://127.0.0.1:{port}/v1" in said
    assert answer(port, model="other-model") == QUESTIONS[QUESTION]
    assert answer(story.port, key=story.key) == QUESTIONS[QUESTION]
    assert process(story.machine, f"--port {story.port}") == pid
    assert "nothing to do" in story.type("plan", "--model", "/srv/other model", "--service", "second")


def test_a_conversation_with_two_services(story: Story) -> None:
    """It goes on in the tests that stop and start them."""
    person = story.person = Terminal(story.controller, "chat")
    person.wait_for("demo>")
    say(person, "/set temperature 0", "temperature 0.0")
    say(person, "/set repetition_penalty 1", "repetition_penalty 1.0")
    say(person, "word " * 300, "this is too long for demo", "context length")
    say(person, "Hello", QUESTIONS["Hello"])
    say(person, "/model", "* ", "/demo", "/second")
    say(person, "/model second", "/second)")
    person.type("/model other-model\r")
    person.wait_for("asking other-model", "other-model>")
    person.type("/clear\r")
    person.wait_for("Forgotten", "other-model>")
    person.type(f"{QUESTION}\r")
    person.wait_for(QUESTIONS[QUESTION], "other-model>")


def test_logs(story: Story) -> None:
    said = story.type("logs", "--service", "second", "--lines", "400")
    assert "serve: ready" in said
    assert "Application startup complete" in said
    assert story.key not in said
    assert story.key not in story.type("logs", "--lines", "100000")
    assert len(story.type("logs", "--service", "demo", "--lines", "5").splitlines()) == 5
    wrong = story.controller.run("logs", "--service", "secnd")
    assert wrong.code != 0
    assert "second" in wrong.output
    following = story.controller.start("logs", "--service", "second", "--follow", "--lines", "1")
    wait_until(lambda: bool(following.output), "line", 120)
    assert "second: stopped" in story.type("stop", "--service", "second")
    following.wait_for("serve: stopped: asked to", 60)
    following.process.kill()
    assert answer(story.port, key=story.key) == QUESTIONS[QUESTION]


def test_stop_leaves_no_process(story: Story) -> None:
    said = story.type("stop")
    assert "demo: stopped" in said
    assert "second: is stopped already" in said
    assert processes(story.machine) == {}
    found = story.controller.run("status", "--json")
    assert found.code != 0
    assert {service["phase"] for service in json.loads(found.output)["hosts"][story.machine.name]["services"]} == {
        "stopped"
    }
    asked = story.controller.run("chat", "Hello")
    assert asked.code != 0
    assert "does not answer" in asked.output
    assert story.person
    story.person.type("Hello\r")
    story.person.wait_for("second does not answer", "other-model>")
    journal = story.machine.run("journalctl --sync; journalctl --no-pager -o cat -u 'vllm@*'").stdout
    assert "Failed with result" not in journal
    assert "SIGKILL" not in journal


def test_start(story: Story) -> None:
    assert "second: serving at" in story.type("start", "--service", "second")
    assert story.person
    story.person.type("/clear\r")
    story.person.wait_for("Forgotten", "other-model>")
    story.person.type(f"{QUESTION}\r")
    story.person.wait_for(QUESTIONS[QUESTION], "other-model>")
    story.person.type("\x04")
    assert story.person.end() == 0
    story.said.append(story.person.output)
    assert "serves already" in story.type("start", "--service", "second")
    assert list(processes(story.machine)).count("VLLM::EngineCore") == 1


def test_another_run_at_work_is_left_alone(story: Story) -> None:
    """Services are changed under the host's lock, whose holder is named; `--dry` looks without it."""
    folder = "/var/lib/vllm-provisioning"
    hold = "echo $$ >/run/holder; exec flock -o lock sleep 600"
    story.machine.run(f"cd {folder}; echo somebody >lock.holder; setsid --fork sh -c '{hold}' <&- >/dev/null 2>&1")
    story.machine.run(f"cd {folder}; while flock -n lock true; do sleep 0.1; done")
    pid = process(story.machine, "api_server")
    for verb in ("stop", "restart"):
        done = story.controller.run(verb, "--service", "second")
        assert done.code == 5, done.output
        assert "The lock is held by somebody" in done.output
    assert "would stop second" in story.type("--dry", "stop", "--service", "second")
    assert "second: serves already" in story.type("--dry", "start", "--service", "second")
    assert "demo: is stopped already" in story.type("stop", "--service", "demo")
    assert process(story.machine, "api_server") == pid
    story.machine.run("kill $(cat /run/holder); rm /run/holder")


@pytest.mark.full
def test_restart(story: Story) -> None:
    first = process(story.machine, "api_server")
    story.type("restart", "--service", "second")
    assert process(story.machine, "api_server") != first


def test_the_key_was_shown_nowhere(story: Story) -> None:
    assert story.key
    assert story.key not in "".join(story.said)
    written = "find / /run /tmp -xdev -path /var/lib/vllm/venvs -prune -o -type f -size -50M -print0"
    found = story.machine.run(f"{written} | xargs -0 grep -lF -e '{story.key}'", check=False).stdout
    assert found.split() == ["/etc/vllm/demo.key"]


def test_remove_leaves_the_machine_as_it_was(story: Story) -> None:
    story.machine.run(f"rm -r {FOLDER} '/srv/other model'")
    said = story.type("remove", "--yes", "--keep-models")
    assert "remove service demo" in said
    assert story.machine.run("ls /var/lib/vllm/ModelSpace/demo/model.safetensors").stdout
    assert processes(story.machine) == {}
    story.type("remove", "--yes")
    after, before = snapshot(story.machine), story.bare.before
    assert after.packages - before.packages == set()
    assert before.packages - after.packages == set()
    assert after.files - before.files == set()
    assert before.files - after.files == set()
    assert after.etc == before.etc
    assert "nothing here was made by this project" in story.type("remove", "--yes")
