"""Fixtures: machines that boot in about a second and leave nothing behind."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from .controller import Controller
from .machine import ADMIN_PASSWORD, Machine
from .provisioned import Provisioned, provision
from .servers import FileServer, Proxy
from .system import cache_folder, require_root, require_system_packages


@pytest.fixture(scope="session")
def ssh_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private key which root, admin and operator of every machine let in; its public half lies beside it."""
    require_root()
    require_system_packages("openssh-client", "mmdebstrap", "systemd-container")
    key = tmp_path_factory.mktemp("ssh") / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "tests", "-f", key], check=True)
    return key


@pytest.fixture(scope="session")
def uv_cache() -> Path:
    """A folder that keeps what uv downloads between test runs: `binds={str(uv_cache): "/var/cache/uv:rw"}`.

    Anyone may make folders in it, so that each account can have its own.
    """
    folder = cache_folder() / "uv"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o1777)
    return folder


def _factory(ssh_key: Path, stack: ExitStack) -> Callable[..., Machine]:
    def make(release: str = "bookworm", *, start: bool = True, **options: Any) -> Machine:
        machine = Machine(release, ssh_key, **options)
        stack.callback(machine.discard)
        return machine.start() if start else machine

    return make


@pytest.fixture
def machine(ssh_key: Path) -> Iterator[Callable[..., Machine]]:
    """Make a fresh machine for one test: `machine("trixie", disk=2**30)`; see `Machine` for the options."""
    with ExitStack() as stack:
        yield _factory(ssh_key, stack)


@pytest.fixture
def machines(machine: Callable[..., Machine]) -> Callable[..., list[Machine]]:
    """Make several fresh machines for one test, booted side by side: `machines("bookworm", 8)`."""

    def make(release: str = "bookworm", count: int = 1, **options: Any) -> list[Machine]:
        made = [machine(release, start=False, **options) for _ in range(count)]
        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(Machine.start, made))

    return make


@pytest.fixture(scope="module")
def module_machine(ssh_key: Path) -> Iterator[Callable[..., Machine]]:
    """As `machine`, for all tests of a module."""
    with ExitStack() as stack:
        yield _factory(ssh_key, stack)


@pytest.fixture(scope="module")
def bookworm(module_machine: Callable[..., Machine]) -> Machine:
    """A Debian 12 machine, fresh for each module."""
    return module_machine("bookworm")


@pytest.fixture(scope="module")
def trixie(module_machine: Callable[..., Machine]) -> Machine:
    """A Debian 13 machine, fresh for each module."""
    return module_machine("trixie")


@pytest.fixture(params=["bookworm", "trixie"])
def either(request: pytest.FixtureRequest) -> Machine:
    """Each of the two in turn."""
    found: Machine = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def provisioned(ssh_key: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provisioned]:
    """A Debian 12 machine that was provisioned as root; it is off: `machine("bookworm", like=provisioned.machine)`."""
    with ExitStack() as stack:
        fresh = _factory(ssh_key, stack)("bookworm")
        yield provision(fresh, tmp_path_factory.mktemp("root") / "home", "root")


@pytest.fixture(scope="session")
def provisioned_by_admin(ssh_key: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provisioned]:
    """A Debian 13 machine with its own newer gcc, provisioned by a user whose sudo wants a password; it is off."""
    with ExitStack() as stack:
        fresh = _factory(ssh_key, stack)("trixie")
        fresh.run("apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y gcc g++")
        folder = tmp_path_factory.mktemp("admin") / "home"
        yield provision(fresh, folder, "admin", PROVISION_SUDO_PASSWORD=ADMIN_PASSWORD)


@pytest.fixture(scope="session", params=["provisioned", "provisioned_by_admin"])
def life(request: pytest.FixtureRequest) -> Provisioned:
    """Debian 12 as root, and Debian 13 as a user with a password for sudo."""
    found: Provisioned = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def controller(tmp_path: Path) -> Controller:
    """Where a test types its commands."""
    return Controller(tmp_path / "home")


@pytest.fixture
def file_server(tmp_path: Path) -> Iterator[FileServer]:
    """An HTTP server of files, on loopback, that fails on demand; it serves `file_server.folder`."""
    folder = tmp_path / "served"
    folder.mkdir()
    with FileServer(folder) as server:
        yield server


@pytest.fixture
def proxy() -> Iterator[Callable[[Machine], Proxy]]:
    """Put a TCP proxy before a machine's sshd: `proxy(machine)`; it cuts, stalls, delays and counts."""
    with ExitStack() as stack:
        yield lambda machine: stack.enter_context(Proxy((machine.address, machine.port), listen=machine.address))
