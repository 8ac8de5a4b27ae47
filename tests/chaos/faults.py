"""What breaks. Each fault strikes a host, or whoever converges it, and gives what mends it once the run has ended."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from shlex import quote

from hosts.controller import Controller, Running
from hosts.machine import Machine
from hosts.proxy import Proxy

from .world import settings

Mend = Callable[[], object]
LIBRARY = "/usr/local/lib/vllm-provisioning"
REWRITTEN = ("/etc/vllm/tiny.env", "/etc/systemd/system/vllm@.service", f"{LIBRARY}/serve.py", f"{LIBRARY}/git_lfs.py")
"""Files of ours whose whole content we know."""
MADE = ("/var/lib/vllm/ModelSpace/tiny/config.json", "/var/lib/vllm/ModelSpace/tiny/model.safetensors")
MADE += ("/var/lib/vllm/venvs/vLLM/.vllm-provisioning", "/var/lib/vllm-provisioning/tools/.installed")
VICTIMS = ("[a]pt-get update", "[a]pt-get install", "[d]pkg .*--unpack", "[d]pkg .*--configure", "[c]haos-two.postinst")
"""Command lines, as patterns that do not match themselves."""


@dataclass
class Scene:
    """A run in the middle, and everything that can break about it."""

    random: Random
    machine: Machine
    line: Proxy
    controller: Controller
    running: Running
    tell: Callable[[str], None]
    """Takes what else the random numbers decided, for the words of a failure."""

    def nothing(self) -> None:
        """Mend nothing: it has passed by itself."""


def controller_killed(scene: Scene) -> Mend:
    """The program that converges the host dies at once."""
    scene.running.send(signal.SIGKILL)
    return scene.nothing


def sshd_killed(scene: Scene) -> Mend:
    """Every sshd of the host dies at once, those of sessions too; systemd starts the first one again."""
    scene.machine.run("pkill -KILL -x sshd", check=False)
    return scene.nothing


def connection_cut(scene: Scene) -> Mend:
    """A router forgets its connections."""
    scene.line.cut()
    return scene.nothing


def connection_stalled(scene: Scene) -> Mend:
    """Nothing passes for some seconds; then what was held back does, or it is lost."""
    scene.line.stall()
    time.sleep(scene.random.uniform(1, 6))
    if scene.random.random() < 0.5:
        scene.line.cut()
    scene.line.resume()
    return scene.nothing


def connection_slowed(scene: Scene) -> Mend:
    """1 kB/s, each way, for some seconds."""
    scene.line.throttle.bytes_per_second = scene.line.upward.bytes_per_second = 1000
    time.sleep(scene.random.uniform(2, 8))
    scene.line.throttle.bytes_per_second = scene.line.upward.bytes_per_second = None
    return scene.nothing


def powered_off(scene: Scene) -> Mend:
    """The plug is pulled, and put in again."""
    scene.machine.power_off()
    scene.machine.boot()
    return scene.nothing


def disk_filled(scene: Scene) -> Mend:
    """Not a byte is free until the run has ended."""
    scene.machine.run(
        "mkdir -p /srv/full; fallocate -l $(df --output=avail -B1 / | tail -n 1) /srv/full/most; "
        "for size in 1M 4k 512; do dd if=/dev/zero of=/srv/full/$size bs=$size 2>/dev/null; done",
        check=False,
    )
    return lambda: scene.machine.run("rm -rf /srv/full")


def tmp_read_only(scene: Scene) -> Mend:
    """Nobody can write to /tmp until the run has ended."""
    scene.machine.run("mount --bind /tmp /tmp && mount -o remount,bind,ro /tmp")
    # systemd may call the mount failed some time after it has gone.
    gone = "systemctl reset-failed tmp.mount; systemctl show tmp.mount -p ActiveState | grep -qx ActiveState=inactive"
    wait = f"for i in $(seq 60); do {gone} && sleep 1 && {gone} && break; done"
    return lambda: scene.machine.run(f"systemctl stop tmp.mount || umount --lazy /tmp; {wait}", check=False)


def dpkg_interrupted(scene: Scene) -> Mend:
    """Dpkg, apt, or a package's own script dies when it is at work."""
    victim, pause = scene.random.choice(VICTIMS), scene.random.uniform(0, 0.2)
    scene.tell(f"kills {victim} {pause:.3f} s after it began")
    hunt = f"until pgrep -f '{victim}'; do sleep 0.01; done; sleep {pause}; pkill -KILL -f '{victim}'"
    scene.machine.run(f"timeout 60 sh -c {quote(hunt)}", check=False)
    return scene.nothing


def edited_by_hand(scene: Scene) -> Mend:
    """Somebody deletes, empties or changes a file of ours, if it is there by now."""
    path = scene.random.choice(REWRITTEN + MADE)
    edits = ["rm {0}", "truncate --size 0 {0}", "sed -i 's/e/E/' {0}", "printf '# mine' >>{0}"]
    edits += ["chmod 666 {0}", "chown 65534 {0}"] if path in REWRITTEN else []
    edit = scene.random.choice(edits).format(path)
    scene.tell(f"by {edit}")
    scene.machine.run(f"[ ! -e {path} ] || {edit}")
    return scene.nothing


def second_controller(scene: Scene) -> Mend:
    """Somebody else converges the same host; perhaps the first one gives up."""
    home: Path = scene.controller.home.with_name("second")
    other = Controller(home).manage(scene.machine, **settings("second")).start("serve", "--verbose")
    if scene.random.random() < 0.5:
        time.sleep(scene.random.uniform(0, 4))
        scene.running.send(signal.SIGINT)
    return lambda: _ended(other)


def _ended(running: Running) -> None:
    done = running.done(300)
    assert "Traceback" not in done.output, done.output


AT_ONCE = (dpkg_interrupted,)
"""Faults that choose their moment themselves."""
FAULTS: tuple[Callable[[Scene], Mend], ...] = (
    *(controller_killed, sshd_killed, connection_cut, connection_stalled, connection_slowed, powered_off),
    *(disk_filled, tmp_read_only, dpkg_interrupted, edited_by_hand, second_controller),
)
