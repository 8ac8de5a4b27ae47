"""Pristine Debian roots, made once and cached, with the mirror and the trust that this machine has."""

from __future__ import annotations

import ast
import functools
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from .system import cache_folder, locked, require_root, require_system_packages

RELEASES = {"bookworm": "12", "trixie": "13"}

PACKAGES = ["systemd", "systemd-sysv", "dbus", "libpam-systemd", "openssh-server", "sudo"]
PACKAGES += ["ca-certificates", "iproute2", "procps"]
"""About what a fresh cloud machine has. Not here on purpose: gcc, git, curl, a Python with venv or pip."""

MORE_PACKAGES = {"bookworm": ["python3"], "trixie": []}
"""Debian 12 comes with a plain Python as cloud images do; Debian 13 is truly bare."""

ADMIN_PASSWORD = "secret pass'word"
"""The password of `admin`, for logging in and for sudo: with a space and a quote, as passwords are."""

SETUP = [
    'chroot "$1" useradd --create-home --shell /bin/bash --groups sudo admin',
    'chroot "$1" useradd --create-home --shell /bin/bash --gid operator operator',
    """printf '%s:%s\\n' admin "$ADMIN_PASSWORD" | chroot "$1" chpasswd""",
    """echo 'operator ALL=(ALL) NOPASSWD: ALL' >"$1/etc/sudoers.d/operator" """,
    'chmod 0440 "$1/etc/sudoers.d/operator"',
    'echo LANG=C.UTF-8 >"$1/etc/default/locale"',
    'rm -f "$1"/etc/ssh/ssh_host_* "$1/etc/hostname" "$1/etc/apt/sources.list" "$1"/etc/apt/sources.list.d/*',
]
FORMAT = "3"


def root_filesystem(release: str, packages: tuple[str, ...] = ()) -> Path:
    """Make the pristine root of a release, with more packages if asked; made once, then taken from the cache."""
    require_root()
    wanted = [*PACKAGES, *MORE_PACKAGES[release], *sorted(packages)]
    key = hashlib.sha256("\n".join([FORMAT, *SETUP, *wanted]).encode()).hexdigest()[:12]
    folder = cache_folder() / "roots" / f"{release}-{key}"
    if folder.is_dir():
        return folder
    require_system_packages("mmdebstrap", "systemd-container", "openssh-client")
    with locked(folder.with_name(folder.name + ".lock")):
        if not folder.is_dir():
            _make(release, wanted, folder)
    return folder


def _make(release: str, packages: list[str], folder: Path) -> None:
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    options = folder.with_name(folder.name + ".apt.conf")
    options.write_text(apt_options())
    # What it mounts (/proc, parts of /dev) ends with it, also when it is killed: a clean-up meets plain files only.
    command = ["unshare", "--mount", "--propagation=private", "mmdebstrap"]
    command += ["--quiet", "--variant=minbase", f"--include={','.join(packages)}", f"--aptopt={options}"]
    command += [f"--customize-hook={' && '.join(SETUP)}", release, str(unfinished)]
    environment = {**os.environ, "ADMIN_PASSWORD": ADMIN_PASSWORD, "LC_ALL": "C.UTF-8"}
    made = subprocess.run(
        command, input=apt_lines(release), env=environment, capture_output=True, text=True, check=False
    )
    options.unlink()
    if made.returncode:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise RuntimeError(f"mmdebstrap could not make a {release} root:\n{made.stderr[-2000:]}")
    (unfinished / "etc/apt/sources.list.d/debian.sources").write_text(apt_sources(release))
    unfinished.rename(folder)


def mirrors() -> tuple[str, str]:
    """The Debian mirror and the security mirror of this machine's apt configuration."""
    codename = next(
        (line.partition("=")[2].strip('"') for line in _os_release() if line.startswith("VERSION_CODENAME=")), ""
    )
    listing = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    suites = {suite: uri for uri, suite, component in map(str.split, listing.splitlines()) if component == "main"}
    main = suites.get(codename) if "ID=debian" in _os_release() else None
    if not main:
        pytest.skip("this machine's apt configuration names no Debian mirror to make test machines from")
    return main, suites.get(f"{codename}-security", main.rstrip("/") + "-security")


def _os_release() -> list[str]:
    return Path("/etc/os-release").read_text().splitlines()


def apt_lines(release: str) -> str:
    """The release's sources, one a line, as mmdebstrap takes them."""
    main, security = mirrors()
    suites = [(main, release), (main, f"{release}-updates"), (security, f"{release}-security")]
    return "".join(f"deb {uri} {suite} main\n" for uri, suite in suites)


def apt_sources(release: str) -> str:
    """The release's sources, in the form in which Debian's images carry them."""
    main, security = mirrors()
    blocks = [(main, f"{release} {release}-updates"), (security, f"{release}-security")]
    keyring = "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    return "\n".join(
        f"Types: deb\nURIs: {uri}\nSuites: {suites}\nComponents: main\n{keyring}" for uri, suites in blocks
    )


def apt_options() -> str:
    """How this machine's apt reaches its mirror: proxies, certificates, what it checks."""
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout
    wanted = ("Acquire::http", "Acquire::https", "Acquire::Check-", "Acquire::Retries")
    kept = [line for line in dump.splitlines() if line.startswith(wanted) and not line.endswith(' "";')]
    return "\n".join([*kept, 'Acquire::Languages "none";', ""])


@functools.cache
def pip_configuration() -> dict[str, str]:
    """This machine's pip settings, its environment's PIP_* included, as one section."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    if subprocess.run([*command[:3], "--version"], capture_output=True, check=False).returncode:
        command = [shutil.which("pip3") or "pip3", "config", "list"]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    settings: dict[str, str] = {}
    for line in sorted(listing.splitlines(), key=lambda line: line.startswith(":env:")):
        name, _, value = line.partition("=")
        settings[name.rpartition(".")[2]] = ast.literal_eval(value)
    if "cert" in settings:
        settings["cert"] = "/etc/ssl/certs/ca-certificates.crt"
    return settings


def package_folders() -> list[Path]:
    """The local folders which pip's settings name (find-links, file:// indexes), to be bound into machines."""
    settings, found = pip_configuration(), []
    for name in ("find-links", "index-url", "extra-index-url"):
        for place in settings.get(name, "").split():
            path = Path(urlsplit(place).path if place.startswith("file://") else place)
            path = path.parent if path.name == "simple" else path
            if path.is_absolute() and path.is_dir() and path not in found:
                found.append(path)
    return found
