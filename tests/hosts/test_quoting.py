"""What passes a shell arrives byte for byte: as root, by sudo with a password, and as the owner of what is written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from provisioning import job, probe
from provisioning.errors import CommandError
from provisioning.host import Host, quote
from provisioning.resources import Directory, File, Product, Resource

from .connected import host_of
from .controller import Controller
from .machine import Machine
from .provisioned import SETTINGS, Provisioned

pytestmark = pytest.mark.timeout(240)

NAMES = [
    "plain",
    "a space",
    "it's",
    'a "quote"',
    "$(touch pwned)",
    "`id`",
    "天空",
    "new\nline",
    "-rf",
    "*",
    "end\\",
    "\udcff",
]
CONTENT = "".join(map(chr, range(1, 256))) + "天空\n$(id) `id` ${HOME} \\ ' \" END\nEND\nEND_OF_SCRIPT\n\r\n no end"


@pytest.fixture(params=["root", "admin", "operator"])
def host(
    request: pytest.FixtureRequest, bookworm: Machine, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Host]:
    """The same machine through each way of becoming root."""
    with host_of(bookworm, request.param, controller, monkeypatch) as found:
        yield found


def converge(host: Host, *resources: Resource) -> None:
    """Look, mend, look again: nothing differs any more."""
    for resource, actual in zip(resources, look(host, *resources), strict=True):
        assert resource.diff(actual), resource.name
        resource.apply(host, actual, lambda line: None)
    for resource, actual in zip(resources, look(host, *resources), strict=True):
        assert resource.diff(actual) is None, resource.name


def look(host: Host, *resources: Resource) -> list[str]:
    answers = probe.ask(host, [resource.probe() for resource in resources])
    return [answer.require(host.name, each.name) for each, answer in zip(resources, answers, strict=True)]


def test_scripts_and_their_words(host: Host) -> None:
    for name in NAMES:
        assert host.run(f"printf '%s|' {quote(name)} {quote(name)}").stdout == f"{name}|{name}|"
    assert host.run(f"id -u; printf %s {quote(CONTENT)} | sha256sum").stdout.startswith("0\n")
    assert host.run("printf '\\377\\000x'").stdout.encode(errors="surrogateescape") == b"\xff\0x"
    assert host.run('cat; echo "$#$*"').stdout == "0\n", "a script's input is at its end"
    long = "x" * 300_000
    assert host.run(f"printf %s {long} | wc -c").stdout.strip() == "300000", "longer than an argument may be"
    with pytest.raises(CommandError) as caught:
        host.run("echo '[bold] 天' >&2; exit 3")
    assert (caught.value.cause, "exit 3" in caught.value.message) == ("[bold] 天", True)


def test_files_and_folders_with_any_name(host: Host, bookworm: Machine) -> None:
    """Root's, and those of an account, which writes them itself."""
    bookworm.run("useradd --create-home serving 2>/dev/null || :; rm -rf /srv/quoting /home/serving/quoting")
    for owner, top in (("root", "/srv/quoting"), ("serving", "/home/serving/quoting")):
        mine = {"owner": owner, "group": owner}
        folders = [Directory(f"{top}/{name}.d", mode="750", **mine) for name in NAMES]
        files = [File(f"{top}/{name}.d/{name}", CONTENT, mode="600", **mine) for name in NAMES]
        converge(host, Directory(top, **mine), *folders, *files)
        there = bookworm.root / top.lstrip("/")
        assert {each.name for each in there.iterdir()} == {f"{name}.d" for name in NAMES}
        for name in NAMES:
            (file,) = Path(there / f"{name}.d").iterdir()
            assert file.name == name
            assert file.read_bytes() == CONTENT.encode()
    assert not bookworm.run("find / -xdev -name 'pwned*'").stdout


def test_what_was_there_is_put_back(host: Host, bookworm: Machine) -> None:
    path = "/srv/what is theirs/天 $(x)"
    bookworm.run(f"rm -rf '/srv/what is theirs'; mkdir '/srv/what is theirs'; printf 'theirs \\377' >{quote(path)}")
    file = File(path, "ours")
    (actual,) = look(host, file)
    host.run(f"rm -rf /var/lib/vllm-provisioning/backups; {file.keep(actual)}")
    file.apply(host, actual, lambda line: None)
    host.run(file.keep(look(host, file)[0]))
    host.run(file.undo(actual))
    assert (bookworm.root / path.lstrip("/")).read_bytes() == b"theirs \xff"
    assert os.listdir(bookworm.root / "srv/what is theirs") == ["天 $(x)"]


def test_a_jobs_log_and_script(host: Host) -> None:
    lines: list[str] = []
    script = f"printf '%s\\n' {quote(CONTENT)}; printf '天 no end'; cat"
    log = job.run(host, job.Job("quoting", script, str(os.urandom(4))), lines.append)
    assert log == f"{CONTENT}\n天 no end"
    assert lines[-1] == "天 no end"
    with pytest.raises(CommandError) as caught:
        job.run(host, job.Job("quoting", "echo 'the reason: 天'; exit 7"), lines.append)
    assert "exit 7" in caught.value.message
    assert caught.value.cause == "the reason: 天"


def test_a_product_in_any_folder(host: Host) -> None:
    state = "it's 天 $(made)"
    path = f"/srv/product of {host.name}'s $(id) 天"
    host.run(f"rm -rf {quote(path)}")
    converge(
        host,
        Product(
            title=f"product {path}",
            look=f"cat {quote(path)}/stamp 2>/dev/null; :",
            state=state,
            script=f"mkdir -p {quote(path)} && printf '%s\\n' {quote(state)} >{quote(path)}/stamp",
            job_name="product",
            describe=lambda found: f"make it, {found or 'nothing'} is there",
            removes=(path,),
        ),
    )


def test_a_home_that_needs_quoting(
    machine: Callable[..., Machine], provisioned: Provisioned, controller: Controller
) -> None:
    """The whole of `provision`, twice, for an account whose home is as awkward as homes get."""
    one = machine("bookworm", like=provisioned.machine)
    home = "/srv/a home's 天空 $(touch pwned) & more"
    one.run(f"usermod --home {quote(home)} --move-home operator")
    controller.manage(one, user="operator", **SETTINGS, pip={"index": "host", "find_links": ["/opt/wheels"]})
    controller.succeed("provision")
    python = f"{home}/venvs/vLLM/bin/python"
    assert one.run(f"{quote(python)} -c 'import sys; print(sys.prefix)'").stdout == f"{home}/venvs/vLLM\n"
    assert "nothing to do" in controller.succeed("provision")
    assert not one.run("find / -xdev -name 'pwned*'").stdout
    controller.succeed("remove", "--yes")
    assert not one.run(f"ls {quote(home)}/venvs/vLLM", check=False).stdout
