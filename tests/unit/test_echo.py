"""Shell that is shown to people: what changes a host, and nothing secret."""

from __future__ import annotations

import base64
import json
from shlex import quote
from urllib.parse import quote as in_url

import pytest

from provisioning import masking
from provisioning.echo import LINES, WIDTH, Echo, shown
from provisioning.resources import File

SECRET = "it's a plänted \\secret"


@pytest.fixture(autouse=True)
def hidden(nothing_hidden: None) -> None:
    masking.hide(SECRET)


def test_what_is_shown_and_when() -> None:
    echo, said = Echo(), list[str]()
    echo("before")
    with echo.to(said.append):
        echo("install it")
        with echo.instead("a job"):
            echo("how a job is started")
        with echo.instead():
            echo("a password")
        echo("go on")
    echo("after")
    assert said == ["install it", "a job", "go on"]


def test_a_script_is_short_and_holds_no_data() -> None:
    file = File("/etc/vllm/a.env", "HF_TOKEN=hf_verysecret\n" * 20, secret=True)
    rows = shown(file._write("absent", "root"))
    assert "base64 -d >/etc/vllm/a.env.vllm-provisioning-new <<'END'" in rows
    assert rows[-1].startswith("mv -fT ")
    assert base64.b64encode(b"HF_TOKEN=").decode()[:8] not in "".join(rows)
    assert shown("aB3" * 500 + "\n/a/path" * 20) == ["…", *["/a/path"] * 20]
    assert len(shown("y " * WIDTH)[0]) == WIDTH + 1
    assert shown("a\n" * 100)[LINES:] == [f"… and {100 - LINES} more lines"]
    assert shown("a\x1b[31m") != ["a\x1b[31m"]


@pytest.mark.parametrize(
    "form",
    [
        str,
        quote,
        json.dumps,
        lambda secret: quote(json.dumps(secret)),
        lambda secret: quote(json.dumps(secret, ensure_ascii=False)),
        lambda secret: in_url(secret, safe=""),
        lambda secret: base64.b64encode(secret.encode()).decode(),
        lambda secret: base64.urlsafe_b64encode(secret.encode()).decode(),
    ],
)
def test_secrets_are_masked_however_they_are_written(form: object) -> None:
    assert callable(form)
    (row,) = shown(f"download --token {form(SECRET)} --to /srv")
    assert "***" in row
    assert not {part for part in ("plänted", "pl\\u00e4nted", "secret") if part in row}
    assert row.startswith("download --token ")
    assert row.endswith(" --to /srv")


def test_a_short_secret_is_part_of_too_many_words() -> None:
    masking.hide("yes")
    assert masking.masked("yes, yesterday") == "yes, yesterday"
