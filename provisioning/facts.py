"""What a host is: looked at in one round trip, as the connecting user, before anything is decided."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from provisioning import becoming, fact_probes, gpus, probe
from provisioning.gpus import Gpu
from provisioning.host import Host, quote
from provisioning.masking import server_of
from provisioning.server_answers import ANSWERS, is_reached, reason

# The package `python3` of each system, for hosts where it is not installed yet.
SYSTEM_PYTHON = {
    ("debian", "12"): "3.11",
    ("debian", "13"): "3.13",
    ("ubuntu", "22.04"): "3.10",
    ("ubuntu", "24.04"): "3.12",
}


@dataclass(frozen=True)
class Facts:
    """A host as it was found."""

    user: str
    uid: int
    user_home: str
    account: str
    account_exists: bool
    group: str
    home: str
    os_id: str
    os_version: str
    os_name: str
    architecture: str
    kernel: str
    cores: int
    cpu_flags: frozenset[str]
    topology: tuple[tuple[int, int, int, int], ...]
    """Logical CPUs as (cpu, core, socket, NUMA node)."""
    memory: int
    """Bytes of memory; a container's limit where it is less."""
    memory_available: int
    """Bytes of memory that a new program could take now."""
    systemd: int
    """Version of systemd when it is PID 1, else 0."""
    pythons: tuple[tuple[str, str], ...]
    """Interpreters as (path, "3.11"), those of the system only: every account can run them."""
    manager: str
    """What made the Python environment here, once one was made: conda, uv, or nothing."""
    compilers: dict[str, str] = field(hash=False)
    """Full versions of gcc and g++; "" where there is none."""
    gpus: tuple[Gpu, ...] = ()
    gpu_complaint: str = ""
    """Why nvidia-smi names no GPU, in its own words."""
    versioned_compilers: dict[str, str] = field(default_factory=dict, hash=False)
    """Full versions of gcc-12, g++-12 and the like."""
    glibc: str = ""
    """Version of the C library."""
    installed_wheel: str = ""
    """SHA-256 of the compiled wheel in the environment."""
    sudo: str = "none"
    conda_present: bool = False
    model_revisions: dict[str, str] = field(default_factory=dict, hash=False)
    """What lies in the folders of models that were downloaded: the key of what was asked, and the revision."""
    conda_unreachable: str = ""
    """Why no Miniconda installer can be had; "" where one answers, or where nobody asked."""
    downloads_checked: bool = False

    @property
    def multiarch(self) -> str:
        """Debian's name of the architecture in library paths."""
        return f"{self.architecture}-linux-gnu"

    def system_python(self) -> tuple[str, str]:
        """Interpreter and version of the system's python3, also where it is yet to be installed."""
        for path, version in self.pythons:
            if path == "/usr/bin/python3" or path.startswith("/usr/bin/python3."):
                return path, version
        return "/usr/bin/python3", SYSTEM_PYTHON.get((self.os_id, self.os_version), "3.11")


@dataclass(frozen=True)
class Asked:
    """What is asked for facts, by the connecting user: probes, and what runs before them."""

    probes: tuple[probe.Probe, ...]
    prefix: str = field(repr=False)
    """May hold the password for sudo."""


Ask = Callable[[Host, Asked], Sequence[probe.Probed]]


def _ask(host: Host, asked: Asked) -> Sequence[probe.Probed]:
    return probe.ask(host, asked.probes, as_root=False, prefix=asked.prefix)


def gather(host: Host, *, account: str, conda_path: str, model_paths: Sequence[str] = (), ask: Ask = _ask) -> Facts:
    """Look at a host: one round trip. Tells the host how it becomes root."""
    probes = fact_probes.probes(account, conda_path, model_paths)
    password = host.known_sudo_password()
    answers = ask(host, Asked(tuple(probes.values()), becoming.check(password)))
    text = {name: each.require(host.name, name) for name, each in zip(probes, answers, strict=True)}
    becoming.settle(host, text["sudo"], password)
    return replace(_parse(text), sudo=host.sudo)


def recalled(answers: Sequence[probe.Probed], may_become: bool) -> Facts | None:
    """Facts from what `gather` was answered another time; None where a person had to be asked, or it was in vain."""
    text = dict(zip(fact_probes.NAMES, (answer.output for answer in answers), strict=True))
    sudo = "none" if text["sudo"] == "root" else text["sudo"] if may_become else "forbidden"
    return replace(_parse(text), sudo=sudo) if sudo in ("none", "free", "password") else None


def look_for_downloads(host: Host, facts: Facts, urls: Sequence[str]) -> Facts:
    """Ask which installer of Miniconda answers (one round trip)."""
    asks = "\n".join(f"answers {quote(url)}" for url in urls)
    answers = host.run(ANSWERS + asks, as_root=False, timeout=60).stdout.splitlines()
    reasons = []
    for url, answer in zip(urls, map(str.strip, answers), strict=True):
        if is_reached(answer):
            return replace(facts, conda_unreachable="", downloads_checked=True)
        reasons.append(f"{server_of(url)}: {reason(answer)}")
    return replace(facts, conda_unreachable="; ".join(reasons), downloads_checked=True)


def _parse(text: dict[str, str]) -> Facts:
    identity, user_home, *_ = text["user"].splitlines()
    # An account without a name is known by its number.
    uid, user = re.findall(r"uid=(\d+)(?:\(([^)]*)\))?", identity)[0]
    account, entry, group, *_ = text["account"].splitlines()
    folders = text["folders"].splitlines()
    passwd = entry.split(":") if entry.count(":") >= 6 else None
    os_release = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', text["os"], re.MULTILINE))
    machine = text["machine"].splitlines()
    kernel, _, architecture = machine[0].rpartition(" ")
    memory = {key: int(size) * 1024 for key, size in re.findall(r"^(\w+):\s+(\d+) kB", text["memory"], re.MULTILINE)}
    limits = [int(line) for line in text["memory"].splitlines() if line.isdecimal()] or [memory["MemTotal"]]
    init = text["init"].splitlines()
    compilers = {name: full for name, _, full in (row.partition(" ") for row in text["compilers"].splitlines())}
    return Facts(
        user=user or uid,
        uid=int(uid),
        user_home=user_home,
        account=account,
        account_exists=passwd is not None,
        group=(passwd and group) or account,
        home=passwd[5] if passwd else f"/var/lib/{account}",
        os_id=os_release.get("ID", ""),
        os_version=os_release.get("VERSION_ID", ""),
        os_name=os_release.get("PRETTY_NAME", "unknown"),
        architecture=architecture,
        kernel=kernel,
        cores=int(machine[1]),
        cpu_flags=frozenset(machine[2].split(":", 1)[1].split()) if len(machine) > 2 else frozenset(),
        topology=_topology(text["topology"]),
        memory=min(memory["MemTotal"], *limits),
        memory_available=min(memory.get("MemAvailable", memory["MemTotal"]), *limits),
        systemd=int((re.findall(r"systemd (\d+)", text["init"]) or ["0"])[0]) if init[0] == "systemd" else 0,
        pythons=tuple(dict.fromkeys(_pairs(text["python"]))),
        manager=text["manager"].strip(),
        compilers={name: compilers[name] for name in ("gcc", "g++")},
        versioned_compilers={name: version for name, version in compilers.items() if "-" in name},
        gpus=gpus.parse(text["nvidia"]),
        gpu_complaint=gpus.complaint(text["nvidia"]),
        conda_present="conda" in folders,
        glibc=text["libc"].strip().rpartition(" ")[2],
        installed_wheel=text["wheel"].strip(),
        model_revisions=dict(row.split("\t", 1) for row in folders if "\t" in row),
    )


def _pairs(text: str) -> list[tuple[str, str]]:
    rows = (row.rpartition(" ") for row in text.splitlines())
    return [(path, version) for path, _, version in rows if re.fullmatch(r"3\.\d+", version)]


def _topology(text: str) -> tuple[tuple[int, int, int, int], ...]:
    rows = (row.split(",") for row in text.splitlines() if row.count(",") >= 3 and not row.startswith("#"))
    return tuple((int(cpu), int(core or 0), int(socket or 0), int(node or 0)) for cpu, core, socket, node, *_ in rows)
