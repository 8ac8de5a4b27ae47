"""pip's configuration, as `pip config list` prints it, becomes uv's variables."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from provisioning.templates import FOLDER
from provisioning.templates.pip_to_uv import settings, shell


@pytest.mark.parametrize(
    ("listing", "variable", "value"),
    [
        (
            "global.index-url='https://pypi.tuna.tsinghua.edu.cn/simple'",
            "UV_DEFAULT_INDEX",
            "https://pypi.tuna.tsinghua.edu.cn/simple",
        ),
        (
            "global.extra-index-url='https://a/simple\\nhttps://b/simple'",
            "UV_INDEX",
            "https://a/simple https://b/simple",
        ),
        ("global.find-links='/opt/wheels /srv/more'", "UV_FIND_LINKS", "/opt/wheels,/srv/more"),
        ("global.constraint='/etc/pip/a.txt\\n/etc/pip/b.txt'", "UV_CONSTRAINT", "/etc/pip/a.txt /etc/pip/b.txt"),
        (":env:.cert='/etc/ssl/ca.pem'", "SSL_CERT_FILE", "/etc/ssl/ca.pem"),
        ("global.trusted-host='a b'", "UV_INSECURE_HOST", "a b"),
        ("global.proxy='http://u:p@proxy:3128'", "ALL_PROXY", "http://u:p@proxy:3128"),
        ("global.timeout='60'", "UV_HTTP_TIMEOUT", "60"),
    ],
)
def test_each_setting(listing: str, variable: str, value: str) -> None:
    assert settings(listing)[variable] == value


def test_variables_count_over_install_over_global() -> None:
    rows = ["install.index-url='https://i'", ":env:.index-url='https://e'", "global.index-url='https://g'"]
    assert settings("\n".join(rows))["UV_DEFAULT_INDEX"] == "https://e"
    assert settings("\n".join([rows[0], rows[2]]))["UV_DEFAULT_INDEX"] == "https://i"


def test_of_two_files_the_accounts_own_counts() -> None:
    """It is listed last."""
    assert (
        settings("global.index-url='https://root'\nglobal.index-url='https://own'")["UV_DEFAULT_INDEX"] == "https://own"
    )


def test_what_is_no_setting_of_ours_is_left_out() -> None:
    assert settings("global.quiet='1'\nWARNING: something\nlist.format='columns'\n\nfreeze.index-url='x'") == {
        "UV_INDEX_STRATEGY": "unsafe-best-match"
    }


@pytest.mark.parametrize(
    ("listing", "passed"),
    [
        ("global.no-index='true'\nglobal.find-links='/srv/a b'", "pip install x --no-index"),
        (":env:.no-index='1'", "pip install x --no-index"),
        ("global.no-index='true'\ninstall.no-index='false'", "pip install x"),
        ("", "pip install x"),
    ],
)
def test_uv_is_told_of_no_index_when_it_installs(tmp_path: Path, listing: str, passed: str) -> None:
    """There is no variable for it. With a uv that says what it was called with."""
    (tmp_path / "uv").write_text('#!/bin/sh\necho "$*"\n')
    (tmp_path / "uv").chmod(0o755)
    script = f"PATH={tmp_path}:$PATH\n{shell(listing)}\nuv pip install x; uv pip uninstall x"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == f"{passed}\npip uninstall x\n"


def test_values_reach_the_shell_as_they_are(tmp_path: Path) -> None:
    index = "https://user:p%20w'$(touch pwned)@host/simple"
    listing = f"global.index-url={index!r}\n"
    program = [sys.executable, "-I", "-c", (FOLDER / "pip_to_uv.py").read_text()]
    exports = subprocess.run(program, input=listing, capture_output=True, text=True, check=True).stdout
    script = exports + 'printf %s "$UV_DEFAULT_INDEX"'
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == index
    assert not list(tmp_path.iterdir())
