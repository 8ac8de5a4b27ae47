"""Whatever an inventory holds, it is read or refused in a person's words: no traceback, in bounded time and memory."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from odd_settings import bent, inventories, spoilt, written
from odd_settings import settings as valid_settings

from provisioning.errors import ConfigurationError
from provisioning.inventory import load


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where inventories are written, with folders of variables beside them."""
    path: Path = tmp_path_factory.mktemp("inventories")
    for name in ("group_vars", "host_vars"):
        (path / name).mkdir()
    return path


def read(folder: Path, content: bytes, pattern: str | None = None) -> str:
    """What a person is told: "" where nothing is wrong."""
    path = folder / "inventory.yaml"
    path.write_bytes(content)
    try:
        load(path).select(pattern)
    except ConfigurationError as error:
        said = str(error)
        assert said.encode()
        assert len(said) < 200_000
        return said
    return ""


@given(content=inventories().map(written))
@example(content=b"all: {hosts: {a: {serve: {port: 0x" + b"F" * 5000 + b"}}}}")
@example(content=b"all: {hosts: {a: {ansible_port: '" + b"9" * 5000 + b"'}}}")
@example(content=b"all: {vars: {ansible_group_priority: --9}, hosts: {a: }}")
@example(content=b"all: {vars: {ansible_group_priority: '" + b"9" * 5000 + b"'}, hosts: {a: }}")
@example(content=b"all: {hosts: {a: }, vars: {services: {2020-01-01: {model: x}, ~: {model: x}, 1.5: {model: x}}}}")
@example(content=b"all: {hosts: {a: {services: {a: {environment: {~: ~, 1.5: [], 2020-01-01: , true: 1}}}}}}")
@example(content=b"all: {hosts: {? '" + b"[1:1]" * 3000 + b"' : }}")
@example(content=b"all: {hosts: {a: }, children: {'" + b"x" * 300 + b"': , '..': , \"a\\0b\": }}")
def test_made_inventories(folder: Path, content: bytes) -> None:
    read(folder, content)


@given(content=bent() | st.binary(max_size=200))
def test_any_bytes(folder: Path, content: bytes) -> None:
    read(folder, content)


@given(told=valid_settings)
def test_what_the_schema_allows_is_told_by_its_key_where_it_is_refused(folder: Path, told: dict[str, Any]) -> None:
    """The schema cannot say what contradicts what: so it may be refused, with the key."""
    said = read(folder, written({"all": {"hosts": {"a": told}}}))
    assert not said or "all/hosts/a/" in said or "is not valid YAML" in said  # half a surrogate pair is no text


@given(told=spoilt())
@example(told={"": "strict"})
def test_spoilt_settings_are_told_by_their_key(folder: Path, told: Any) -> None:
    said = read(folder, written({"all": {"hosts": {"a": told}}}))
    assert not said or "all/hosts/a" in said or "is not valid YAML" in said


@given(
    pattern=st.text() | st.sampled_from(["~a{99999999999999999999}", "~" + "(" * 5000, "[", "!!", "&", "~", "\udcff"])
)
def test_any_choice_of_hosts(folder: Path, pattern: str) -> None:
    try:
        read(folder, b"all: {hosts: {a: , b: }}", pattern)
    except UnicodeEncodeError:
        assert any("\ud800" <= letter <= "\udfff" for letter in pattern)


def laughs(kind: str) -> str:
    lines = ["a: &a [x,x,x,x,x,x,x,x,x]" if kind == "[{}]" else "a: &a {x: 1}"]
    for above, name in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{name}: &{name} " + kind.format(",".join([f"*{above}"] * 9)))
    return "\n".join(lines)


LISTED = "all: {hosts: {a: }}\n"
BOMBS = {
    "laughs": laughs("[{}]"),
    "merged laughs": laughs("{{<<: [{}]}}"),
    "itself": "all: &a {children: *a}",
    "itself, merged": "all: &a {<<: *a}",
    "many values": "\n".join(f"k{number}: 1" for number in range(200_000)),
    "many documents": "---\n" * 100_000,
    "deep": "[" * 4_000_000,
    "a number of base 60": f"all: {{hosts: {{a: }}, vars: {{x: {'1:' * 400_000}1}}}}",
    "a long line": f"all: {{hosts: {{a: {{x: '{'y' * 2_000_000}'}}}}}}",
    "a chain of groups": LISTED + "".join(f"g{n}: {{children: {{g{n + 1}: }}}}\n" for n in range(1900)),
    "groups of groups": LISTED
    + "".join(f"g{n}: {{children: {{{', '.join(f'g{m}: ' for m in range(60, n, -1))}}}}}\n" for n in range(60)),
    "a cycle": LISTED + "".join(f"g{n}: {{children: {{g{(n + 1) % 1500}: }}}}\n" for n in range(1500)),
    "many wrong hosts": "all: {hosts: {'w[1:9999]': {serve: {port: x}, services: {a: {model: b}}}}}",
    "hosts in many groups": LISTED + "".join(f"g{n}: {{hosts: {{'w[1:9999]': }}}}\n" for n in range(1900)),
    "variables of many hosts": f"all: {{hosts: {{'w[1:9999]': {{{', '.join(f'x{n}: 1' for n in range(9999))}}}}}}}",
    "unknown keys": f"all: {{hosts: {{a: {{serve: {{{', '.join(f'k{n}: 1' for n in range(1000))}}}}}}}}}",
}
READ = """
import resource, sys
from pathlib import Path
from provisioning.errors import ConfigurationError
from provisioning.inventory import load
for path in map(Path, sys.argv[1:]):
    print(path.stem, file=sys.stderr, flush=True)
    resource.setrlimit(resource.RLIMIT_CPU, (round(resource.getrusage(resource.RUSAGE_SELF).ru_utime) + 30, -1))
    try:
        load(path)
    except ConfigurationError as error:
        assert len(str(error)) < 200_000
"""


def test_files_that_would_take_all_memory_or_time(tmp_path: Path) -> None:
    """A gigabyte, and half a minute of computing for each: none takes a tenth of it on an idle machine."""
    for name, text in BOMBS.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    command = [sys.executable, "-c", READ, *(str(tmp_path / f"{name}.yaml") for name in BOMBS)]
    memory = lambda: resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))  # noqa: E731
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=memory, check=False)
    assert done.returncode == 0, done.stderr


def test_a_fifo_is_read_if_somebody_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "inventory.yaml"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=(LISTED,), daemon=True)
    writer.start()
    assert list(load(path).hosts) == ["a"]
    monkeypatch.setattr("provisioning.yaml_source.PATIENCE", 0.1)
    with pytest.raises(ConfigurationError, match=r"inventory\.yaml cannot be read") as refused:
        load(path)
    assert "Nobody has written anything" in refused.value.cause


ODD_FILES = {
    "with a mark of byte order": b"\xef\xbb\xbf" + LISTED.encode(),
    "with Windows' ends of lines": LISTED.replace("\n", "\r\n").encode(),
    "in UTF-16": LISTED.encode("utf-16"),
    "with zeros": LISTED.encode() + b"\0\0\n",
    "in Latin-1": b"all: {hosts: {a: {x: \xe9}}}\n",
    "of nothing": b"",
    "of text": b"hello",
}


@pytest.mark.parametrize("kind", ODD_FILES)
def test_odd_files(kind: str, folder: Path) -> None:
    said = read(folder, ODD_FILES[kind])
    assert bool(said) == (not kind.startswith("with a mark") and not kind.startswith("with Windows")), said


def test_five_thousand_hosts(folder: Path) -> None:
    """In as many lines as would fill a book."""
    told = "{ansible_host: 192.0.2.1, services: {a: {model: m, port: %d}}, models: {m: {id: x/m}}, note: %s}"
    lines = "".join(f"    host{n}: {told % (n + 1, 'x' * 900)}\n" for n in range(5000))
    assert len(lines) > 5_000_000
    assert not read(folder, f"all:\n  hosts:\n{lines}".encode())


PROJECT = Path(__file__).parents[2]
LISTENING = """
all:
  hosts:
    good: {{ansible_host: 127.0.0.1, ansible_port: {port}, connect_attempts: 1}}
    bad: {{ansible_connection: local, serve: {{port: x}}}}
"""


def invoke(*arguments: str | bytes) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "invoke", "--search-root", str(PROJECT)]
    return subprocess.run([*program, *arguments], capture_output=True, text=True, errors="replace", check=False)


@pytest.mark.parametrize("task", ["up", "status", "logs", "remove --yes", "serve --hosts good"])
def test_no_host_is_connected_to_before_all_is_valid(tmp_path: Path, task: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sshd:
        path = tmp_path / "inventory.yaml"
        path.write_text(LISTENING.format(port=sshd.getsockname()[1]))
        done = invoke(*task.split(), "--inventory", str(path))
        assert done.returncode == 3, done.stdout + done.stderr
        assert "all/hosts/bad/serve/port: should be an integer" in done.stderr
        sshd.setblocking(False)
        with pytest.raises(BlockingIOError):
            sshd.accept()


@pytest.mark.parametrize(
    "options",
    [
        ["--hosts", b"\xff\xfe"],
        ["--hosts", "~a{99999999999999999999}"],
        ["--hosts", "!!&&,,::[[~"],
        ["--model", b"/srv/\xff"],
        ["--model", "$(id)"],
        ["--service", "a\nb\x1b[31m"],
        ["--device", "\u202ecpu"],
        ["--inventory", "/dev/zero"],
        ["--inventory", b"\xff"],
        ["--offline", b"\xff"],
    ],
)
def test_odd_values_of_options(options: list[str | bytes]) -> None:
    done = invoke("plan", *options)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "\x1b[31m" not in done.stderr
