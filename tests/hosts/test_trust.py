"""What SECURITY.md promises, on a real host: secrets, what services are told, and what runs as root."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hubs.content import make_model
from hubs.hf_hub import HuggingFaceHub

from .controller import Controller
from .machine import Machine
from .planted import AWKWARD, BEGAN, MODEL, PRIVATE, SECRETS, Seen, manage, prepare, settings, url, watched
from .provisioned import Provisioned

pytestmark = pytest.mark.timeout(400)
GREP = f"grep -aF {' '.join(f'-e {secret!r}' for secret in SECRETS.values())}"
MEANT = {
    "/etc/vllm/a.env": "600 root",
    "/etc/vllm/b.env": "600 root",
    "/etc/vllm/a.key": "600 vllm",
    "/etc/vllm/b.key": "600 vllm",
    "/etc/apt/auth.conf.d/vllm-provisioning.conf": "600 root",
    "/var/lib/vllm/.config/pip/pip.conf": "600 vllm",
}
"""The files of a host that hold a secret, with mode and owner: nobody else reads them."""
LOCAL = {"models": {"m": {"method": "huggingface", "id": PRIVATE}}, "services": {"m": {"model": "m"}}}


@pytest.fixture(scope="module")
def one(module_machine: Callable[..., Machine], provisioned: Provisioned) -> Machine:
    return module_machine("bookworm", like=provisioned.machine)


class Archive(ThreadingHTTPServer):
    """A mirror of Debian that has nothing, and keeps the logins it was asked with."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Asked)
        self.logins: set[str] = set()
        self.address = f"127.0.0.1:{self.server_port}"


class Asked(BaseHTTPRequestHandler):
    server: Archive

    def do_GET(self) -> None:
        self.server.logins.add(self.headers.get("Authorization", ""))
        self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def archive() -> Iterator[Archive]:
    with Archive() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HuggingFaceHub]:
    with HuggingFaceHub(token=SECRETS["token"]) as server:
        server.add(PRIVATE, make_model(tmp_path_factory.mktemp("model"), small=2), private=True)
        yield server


@pytest.fixture(scope="module")
def said(
    one: Machine, archive: Archive, hub: HuggingFaceHub, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Seen, Controller]:
    """All that every task said, good and bad, and what was seen meanwhile."""
    controller = Controller(tmp_path_factory.mktemp("trust") / "home")
    told = settings(controller, archive.address, hub.url)
    prepare(one, controller, told)
    output = ""
    with watched() as seen:
        for task in ("plan --json", "serve --verbose", "serve", "status", "logs", "doctor"):
            done = controller.run(*task.split())
            assert done.code == 0 or task == "doctor", done.output
            output += done.output
        report = controller.home / "report.md"
        output += controller.succeed("doctor", "--report", report)
        output += report.read_text()
        (controller.home / "sudo").write_text(f"wrong{SECRETS['key']}\n")
        failed = controller.run("serve", "--verbose")
        assert failed.code == 1, failed.output
        output += failed.output
        output += controller.run("plan", PLANTED_KEY="").output
        output += controller.run("plan", PROVISION_KEY_PASSPHRASE=f"not{SECRETS['passphrase']}").output
        output += refused(one, controller, told)
    return output, seen, controller


def refused(machine: Machine, controller: Controller, told: dict[str, Any]) -> str:
    """What is said of passwords that are wrong: sudo's, and that of the login."""
    sudo = {key: value for key, value in told.items() if key != "become_password_file"}
    manage(machine, controller, sudo, ansible_become_password=SECRETS["become"])
    failed = controller.run("status")
    assert "sudo refuses the password" in failed.output
    manage(machine, controller, told, ansible_password=SECRETS["login"], ansible_ssh_private_key_file="/dev/null")
    closed = controller.run("status")
    assert closed.code == 4, closed.output
    return failed.output + closed.output


def test_no_login_of_a_proxy_is_said_or_shown(tmp_path: Path) -> None:
    """Where this machine is looked at, by a program that was told of a proxy: nothing is changed."""
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"), url("proxy"))
    controller = Controller(tmp_path / "home").log_in_as("root", **proxies)
    controller.write({"all": {"hosts": {"here": {"ansible_connection": "local"}}, "vars": LOCAL}})
    with watched() as seen:
        output = "".join(controller.run(*task.split()).output for task in ("plan", "doctor", "status", "logs"))
    assert "here" in output
    assert SECRETS["proxy"] not in output
    assert not seen.on_command_lines


def test_a_bug_report_tells_much_and_nothing_secret(said: tuple[str, Seen, Controller], one: Machine) -> None:
    """Its text is searched for secrets with all the rest; here for what they are in other forms, and for names."""
    _, _, controller = said
    text = (controller.home / "report.md").read_text()
    parts = (
        "Versions",
        "Settings",
        "Facts",
        "doctor",
        "Services",
        "Log of job",
        "Log of service a",
        "Log of service b",
    )
    assert not [part for part in parts if f"\n### {part}" not in text]
    assert "Debian GNU/Linux 12" in text or "debian" in text
    raw = [secret.encode() for secret in SECRETS.values()]
    encoded = {base64.b64encode(b"x" * offset + each)[4:-4].decode() for each in raw for offset in (0, 1, 2)}
    assert not [each for each in encoded if each in text]
    assert not [name for name in (one.name, "admin", "somebody") if f" {name}" in text]


def test_no_secret_is_said_or_shown(said: tuple[str, Seen, Controller]) -> None:
    output, seen, _ = said
    assert "nothing to do" in output
    assert not {name for name, secret in SECRETS.items() if secret in output}
    assert any("api_server" in line for line in seen.processes), "the machine's processes were seen"
    assert not seen.on_command_lines


def test_whose_processes_hold_a_secret_in_their_environment(said: tuple[str, Seen, Controller], one: Machine) -> None:
    """Ours here, which were given it; there root's and the serving account's, who may read its file anyway."""
    _, seen, _ = said
    account = int(one.run("id -u vllm").stdout)
    held = {(name, user) for name, user, _ in seen.in_environments}
    assert ("variable", account) in held, "a service's variables are its own"
    assert {user for _, user in held} <= {0, account}
    assert not {line for name, _, line in seen.in_environments if name == "sudo"}


def test_no_secret_is_left_but_in_the_files_that_are_meant_to_hold_it(
    said: tuple[str, Seen, Controller], one: Machine
) -> None:
    *_, controller = said
    written = f"find / /run /tmp /var/tmp /dev/shm -xdev -type f \\( -newer {BEGAN} -o -newercm {BEGAN} \\) -print0"
    found = "\n".join(sorted(set(one.run(f"{written} | xargs -0 {GREP} -l", check=False).stdout.splitlines())))
    files = {file: one.run(f"stat -c '%a %U' '{file}'").stdout.strip() for file in found.splitlines()}
    assert {file: mode for file, mode in files.items() if file != "/etc/shadow"} == MEANT
    assert not one.run(f"journalctl --sync; journalctl --no-pager -o export | {GREP}", check=False).stdout
    left = [file for file in controller.home.rglob("*") if file.is_file() and any_in(file.read_bytes())]
    assert {file.name for file in left} == {"sudo", "key", "inventory.yaml"}, "what the test itself wrote"


def any_in(content: bytes) -> bool:
    return any(secret.encode() in content for secret in SECRETS.values())


def process_of(machine: Machine, service: str) -> tuple[list[str], dict[str, str]]:
    """The arguments and the environment of a service's server, as the kernel has them."""
    server = f"server=$(pgrep -P $(systemctl show -p MainPID --value vllm@{service}) | head -n 1)"
    both = f"{server}; for what in cmdline environ; do base64 -w0 /proc/$server/$what; echo; done"
    words, pairs = (base64.b64decode(line).decode().split("\0")[:-1] for line in machine.run(both).stdout.split())
    return words, dict(pair.split("=", 1) for pair in pairs)


def test_what_a_service_is_told_arrives_byte_for_byte(said: tuple[str, Seen, Controller], one: Machine) -> None:
    for service in ("a", "b"):
        words, environment = process_of(one, service)
        assert words[words.index("--model") + 1] == MODEL
        assert {name: environment.get(name) for name in AWKWARD} == AWKWARD
    assert words[-2 - len(AWKWARD) :] == [*AWKWARD.values(), "--a", "-b"]
    assert not one.run("find / -xdev -name 'pwned*'").stdout


# Units and programs that root runs, what they name, and the folders above.
CODE = r"""
find /etc/systemd/system /usr/local/lib/vllm-provisioning /var/lib/vllm-provisioning /etc/apt /etc/sudoers.d /etc/vllm \
    /etc/profile.d -xdev ! -type l
for path in / /usr /usr/local /usr/local/lib /etc /etc/systemd /var /var/lib; do echo $path; done
"""


def test_what_runs_as_root_is_roots(said: tuple[str, Seen, Controller], one: Machine) -> None:
    listing = one.run(f"{{ {CODE} }} | xargs -d '\\n' stat -c '%U %A %n'").stdout.splitlines()
    rows = [line.split(" ", 2) for line in listing]
    keys = {path for path, mode in MEANT.items() if mode.endswith("vllm")}
    assert any(path.endswith("serve.py") for _, _, path in rows)
    others = [(owner, path) for owner, _, path in rows if owner != "root" and path not in keys]
    assert not others
    assert not [(mode, path) for _, mode, path in rows if mode[5] == "w" or mode[8] == "w"]


def test_apt_logs_in_though_its_sources_do_not_say_how(
    said: tuple[str, Seen, Controller], one: Machine, archive: Archive
) -> None:
    archive.logins.clear()
    one.run("apt-get update", check=False)
    login = base64.b64encode(f"somebody:{SECRETS['apt']}".encode()).decode()
    assert archive.logins == {f"Basic {login}"}
    assert "somebody" not in one.run("cat /etc/apt/sources.list").stdout
