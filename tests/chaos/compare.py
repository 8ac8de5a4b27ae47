"""Whether two hosts are the same: every file that either has changed, and all that lives on them."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from hosts.machine import Machine

from .world import PORT

VOLATILE = {
    r"/(dev|proc|run|sys)": "file systems of the kernel's; /run is looked at on the living host",
    r"/var/log": "logs say what happened, and that differs",
    r"/(var/)?tmp/systemd-private-.*": "systemd's own, named at random",
    r"/tmp/namespace-dev-.*": "what systemd leaves of a namespace that it could not make on a full disk",
    r"/var/cache/(apt|ldconfig)": "indexes that are made from what is compared",
    r"/var/lib/apt/extended_states\.\w{6}": "what apt itself leaves of that file where the disk was full",
    r"/var/lib/apt/lists": "apt's lists, with what it noted on its way",
    r"/var/lib/dpkg/(status|status-old|lock.*|triggers/Lock)": "dpkg is asked itself",
    r"/var/lib/systemd": "seeds, and when timers last elapsed",
    r"/etc/(machine-id|hostname|hosts|ssh|resolv\.conf)": "each host's own",
    r"/etc/(passwd|group|shadow|gshadow|subuid|subgid)-": "the file before the last change, whichever that was",
    r"/var/lib/vllm/\.cache": "caches of uv and pip, with names at random; `remove` takes them away",
    r"/var/lib/vllm-provisioning/jobs/.*": "how the last job of each name went; dead ones are looked for below",
    r".*/__pycache__": "Python writes them when it first imports something",
}
"""Paths that are not compared, and why not."""
OF_ITS_OWN = {
    r"/etc/vllm/[^/]*\.key": "made at random",
    r"/etc/shadow": "the day on which an account was made",
    r"/var/lib/vllm-provisioning/lock\.holder": "who held the lock last",
    r"/var/lib/vllm/ModelSpace/[^/]*/\.vllm-provisioning/(state|manifest\.json)": "times of files",
    r".*/uv_cache\.json": "when a wheel was unpacked",
    r"/var/lib/vllm-provisioning/packages": "a name for every installation that brought it; compared below, sorted",
}
"""Files that are the same if they are there, with the same mode and owner; and why."""
RENAMED = re.compile(r"(/made/)\d+-")
"""Records are named after the time of their making."""

LOOKS = {
    "packages": "dpkg-query -W -f '${Package} ${Version} ${db:Status-Abbrev}\\n'; dpkg --audit",
    "packages of ours": "sort -u /var/lib/vllm-provisioning/packages",
    "failed units": "systemctl --failed --no-legend --plain",
    "service": "systemctl show vllm@tiny -p ActiveState -p SubState -p UnitFileState -p NeedDaemonReload",
    "what the service was told": "tr '\\0' '\\n' </proc/$(systemctl show vllm@tiny -p MainPID --value)/environ | "
    "grep -E '^(VLLM_|HEALTH_|WHEN)' | sort",
    "answer to the key on the disk": 'curl -s -o /dev/null -w "%{http_code}\\n" '
    f'-H "Authorization: Bearer $(cat /etc/vllm/tiny.key)" http://127.0.0.1:{PORT}/v1/models',
    "runtime folders": "find /run/vllm /run/lock -printf '%p %y %m %u\\n' | sort",
    "mounts": "findmnt -rno TARGET,FSTYPE | grep -v '^/run/user/' | sort",
    "held locks": "for f in $(find /var/lib/vllm* -name lock); do flock -n $f true || echo $f; done",
    "dead jobs": "for j in /var/lib/vllm-provisioning/jobs/*; do [ -e $j/status -a ! -e $j/script ] || echo $j; done",
    "processes": "exec ps -eo ppid=,user:32=,args=",
}
NOT_OURS = re.compile(r" *0 (?!root .*/systemd$)|.*(/systemd --user|\(sd-pam\)|systemd-\w+d$)")
"""Processes that came in from outside, to look; a session's manager, which stays a while; and systemd's helpers."""
SETTLING = 75
"""Seconds within which everything has ended that will end by itself: a lock whose connection is dead takes 60."""


def alive(machine: Machine) -> dict[str, list[str]]:
    """What lives on a host, by kind."""
    found = {name: machine.run(command, check=False).stdout.splitlines() for name, command in LOOKS.items()}
    processes = (line for line in found["processes"] if not NOT_OURS.match(line))
    found["processes"] = sorted(line.split(None, 1)[1] for line in processes)
    return found


def settled(machine: Machine) -> dict[str, list[str]]:
    """What lives on a host once nobody is logged in any more."""
    for _ in range(SETTLING):
        found = alive(machine)
        if not any("sshd: root" in line for line in found["processes"]):
            break
        time.sleep(1)
    return found


def living_differences(twin: dict[str, list[str]], machine: Machine) -> list[str]:
    """What lives on one of two hosts and not on the other, once it had time to settle."""
    deadline = time.monotonic() + SETTLING
    while True:
        now = alive(machine)
        found = [
            f"{kind}: {sign} {line}"
            for kind in LOOKS
            for sign, here, there in (("-", twin, now), ("+", now, twin))
            for line in here[kind]
            if here[kind].count(line) > there[kind].count(line)
        ]
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(1)


def file_differences(twin: Machine, machine: Machine) -> list[str]:
    """What differs on the disks of two hosts that began as the same one."""
    paths = set(_changed(twin)) | set(_changed(machine))
    before, after = (_described(each.root, paths) for each in (twin, machine))
    return [
        f"{path}: {before.get(path, 'absent')} → {after.get(path, 'absent')}"
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    ]


def _matches(patterns: dict[str, str], path: str) -> bool:
    return any(re.fullmatch(pattern, path) for pattern in patterns)


def _changed(machine: Machine) -> Iterator[str]:
    """Paths that are new on the host's own disk, changed there, or whited out."""
    upper = str(machine.upper)
    for folder, folders, files in os.walk(upper):
        place = folder.removeprefix(upper)
        folders[:] = [name for name in folders if not _matches(VOLATILE, f"{place}/{name}")]
        yield from (path for name in (*folders, *files) if not _matches(VOLATILE, path := f"{place}/{name}"))


def _described(root: Path, paths: set[str]) -> dict[str, str]:
    found = ((RENAMED.sub(r"\1TIME-", path), _describe(root, path)) for path in paths)
    return {path: what for path, what in found if what}


def _describe(root: Path, path: str) -> str:
    place = root / path.lstrip("/")
    try:
        status = place.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    what = f"{stat.filemode(status.st_mode)} {status.st_uid}:{status.st_gid}"
    if place.is_symlink():
        return f"{what} → {place.readlink()}"
    if place.is_file() and not _matches(OF_ITS_OWN, path):
        return f"{what} {hashlib.sha256(place.read_bytes()).hexdigest()[:12]}"
    return what
