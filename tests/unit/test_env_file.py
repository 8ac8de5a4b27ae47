"""Environment files, read back by the real sh."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provisioning.env_file import concealed, render

NAMES = st.from_regex(r"\AX_[A-Z0-9_]{0,8}\Z")
VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60) | st.text(
    "\"\\$`'\n\r\t #;()x=中", max_size=20
)


def read_by_sh(folder: Path, content: str, shell: str = "sh") -> dict[str, bytes]:
    file = folder / "service.env"
    file.write_bytes(content.encode())
    script = 'set -a; . "$0"; set +a; exec env -0'
    path = {"PATH": os.environ["PATH"]}
    output = subprocess.run([shell, "-c", script, file], env=path, check=True, capture_output=True).stdout
    rows = (row.partition(b"=") for row in output.split(b"\0") if row)
    return {name.decode(): value for name, _, value in rows if name.startswith(b"X_")}


@given(st.dictionaries(NAMES, VALUES, max_size=6))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_sh_reads_every_value_byte_for_byte(tmp_path: Path, values: dict[str, str]) -> None:
    assert read_by_sh(tmp_path, render(values)) == {name: value.encode() for name, value in values.items()}


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_shells_read_the_awkward_values(tmp_path: Path, shell: str) -> None:
    values = {
        "X_JSON": '["--model", "/data/天空 $(touch pwned)/`id`"]',
        "X_TRAILING": "two spaces  ",
        "X_LINES": "first\nsecond\\\nthird\\",
        "X_QUOTES": 'it\'s "quoted"',
        "X_EMPTY": "",
        "X_HASH": "# no comment; no end",
    }
    assert read_by_sh(tmp_path, render(values), shell) == {name: value.encode() for name, value in values.items()}


def test_one_line_for_a_simple_value() -> None:
    assert render({"VLLM_URL": "http://127.0.0.1:8000"}) == 'VLLM_URL="http://127.0.0.1:8000"\n'


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("X", "a\0b", "NUL"),
        ("X", "\udc80", "not valid Unicode"),
        ("1X", "", "no name"),
        ("X Y", "", "no name"),
        ("X\n", "", "no name"),
        ("", "", "no name"),
        ("PPID", "1", "belongs to the shell"),
    ],
)
def test_what_no_environment_file_can_hold(name: str, value: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        render({name: value})


OLD = render({"URL": "http://a", "TOKEN": 'old "x"\nURL="y', "GONE": "hunter2", "SAME": "s3same"})
NEW = render({"URL": "http://b", "TOKEN": "new$x", "SAME": "s3same", "MORE": "hunter3"})


def test_values_are_concealed_and_changes_are_not() -> None:
    before, after = concealed(OLD, NEW, {"URL"})
    assert before.splitlines() == ['URL="http://a"', "TOKEN=***", "GONE=***", "SAME=***"]
    assert after.splitlines() == ['URL="http://b"', "TOKEN=*** (another value)", "SAME=***", "MORE=***"]


@pytest.mark.parametrize("theirs", ["TOKEN=bare", 'TOKEN="unclosed\nrest', " export TOKEN=x", "# TOKEN=x", "天=x"])
def test_what_others_wrote_is_concealed_too(theirs: str) -> None:
    before, _ = concealed(theirs + "\n", NEW, {"URL"})
    assert set(before.splitlines()) <= {"TOKEN=***", "***"}


@given(st.dictionaries(NAMES, VALUES, max_size=6))
def test_every_value_is_concealed_whole(values: dict[str, str]) -> None:
    assert concealed("", render(values), ())[1] == "".join(f"{name}=***\n" for name in values)
