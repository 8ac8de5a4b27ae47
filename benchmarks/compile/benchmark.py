"""What compiling vLLM costs: cold, with ccache, on a second host, with nothing to do, and by hand.

    sudo .venv/bin/python -m benchmarks.compile.benchmark [--by-hand OBJECTS]

Boots Debian 13 machines as the tests do, compiles the real vLLM in one through `invoke build` over SSH, and then the
same source by hand, with the same compiler and as many jobs: until OBJECTS files are compiled, or all. How far each was
when is read from ninja's own log. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "tests"))

from hosts import vllm_builder  # noqa: E402
from hosts.controller import Controller  # noqa: E402
from hosts.machine import Machine  # noqa: E402
from hosts.serving import answer, free_port  # noqa: E402
from hosts.watching import looking  # noqa: E402

FOLDERS = "/var/lib/vllm/.cache/vllm-provisioning/compile"


class Peak:
    """The most memory (bytes) that one compiler process, and all of them together, have held."""

    def __init__(self) -> None:
        self.one, self.together, self.heaviest = 0, 0, ""

    def look(self) -> None:
        """Machines are containers: their processes show in this machine's list."""
        sizes = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if (process / "comm").read_text().strip() != "cc1plus":
                    continue
                status = dict(re.findall(r"(VmHWM|VmRSS):\s+(\d+) kB", (process / "status").read_text()))
                command = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            sizes.append(int(status.get("VmRSS", 0)) * 1024)
            if (size := int(status.get("VmHWM", 0)) * 1024) > self.one:
                self.one = size
                self.heaviest = next((Path(word).name for word in command if word.endswith((".cpp", ".cc"))), "")
        self.together = max(self.together, sum(sizes))


def finished(log: str) -> list[float]:
    """Seconds from the first command's start to each command's end, in order, from a .ninja_log."""
    rows = [line.split("\t") for line in log.splitlines() if line[:1].isdigit()]
    ends = sorted(int(row[1]) for row in rows)
    began = min(int(row[0]) for row in rows)
    return [(end - began) / 1000 for end in ends]


def ninja_log(machine: Machine, folder: str) -> list[float]:
    return finished(machine.run(f"cat $(find {folder} -name .ninja_log | head -n 1)").stdout)


def by_hand(machine: Machine, folder: str, about: dict[str, Any], objects: int) -> list[float]:
    """Run by_hand.sh until so many objects are made; 0 is all."""
    machine.run("cat >/srv/by_hand.sh", input=(HERE / "by_hand.sh").read_text())
    words = f"{folder} {about['jobs']} {about['torch']} {about['version']}"
    machine.run(f"systemd-run -q --unit by-hand -p LimitNOFILE=65536 sh /srv/by_hand.sh {words}")
    while True:
        time.sleep(5)
        state = machine.run("systemctl is-active by-hand", check=False).stdout.strip()
        log = machine.run(
            # Before there is a log, the tree is a copy of ours.
            "[ -e /srv/by-hand/log ] && cat $(find /srv/by-hand/source -name .ninja_log) </dev/null",
            check=False,
        ).stdout
        if state != "active" or (objects and log.count("\n") > objects):
            machine.run("systemctl stop by-hand", check=False)
            return finished(log)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--by-hand", type=int, default=0, metavar="OBJECTS", help="end by hand after so many")
    parser.add_argument("--folder", type=Path, default=None, help="folder for results.json and what was said")
    options = parser.parse_args()
    folder = options.folder or HERE
    figures: dict[str, Any] = {}

    def note(**values: Any) -> None:
        figures.update(values)
        (folder / "results.json").write_text(json.dumps(figures, indent=2) + "\n")
        print(values, flush=True)

    with ExitStack() as stack, tempfile.TemporaryDirectory() as temporary:
        key = Path(temporary) / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)

        def factory(release: str, **more: Any) -> Machine:
            machine = Machine(release, key, **more)
            stack.callback(machine.discard)
            return machine.start()

        def build(machine: Machine, task: str, transcript: str, **told: Any) -> float:
            controller.manage(machine, **told)
            done = controller.run(task, "--verbose", timeout=4 * 3600)
            (folder / transcript).write_text(done.output)
            if done.code:
                raise SystemExit(done.output)
            return round(done.seconds, 1)

        controller = Controller(Path(temporary) / "home")
        first = vllm_builder.make(factory, name="builder")
        peak = Peak()
        with looking(peak.look, every=1):
            cold = build(first, "build", "cold.log", **vllm_builder.settings())
        (manifest,) = controller.home.glob(".local/share/vllm-provisioning/wheels/*/manifest.json")
        about = json.loads(manifest.read_text())
        tree = f"{FOLDERS}/{about['key'][:12]}"
        ours = ninja_log(first, f"{tree}/sources")
        disk = int(first.run(f"du -sk {tree} | cut -f 1").stdout) * 1024
        note(cold_build=cold, cold_compile=about["seconds"], jobs=about["jobs"], objects=len(ours), disk=disk)
        note(peak_of_one=peak.one, heaviest=peak.heaviest, peak_together=peak.together)
        note(nothing_to_do=build(first, "build", "again.log", **vllm_builder.settings()))
        warm = build(first, "build", "warm.log", **vllm_builder.settings(cmake_args="-DANOTHER=1"))
        newest = max(controller.home.glob(".local/share/vllm-provisioning/wheels/*/manifest.json"), key=mtime)
        note(warm_build=warm, warm_compile=json.loads(newest.read_text())["seconds"])
        second = vllm_builder.make(factory, name="second")
        build(second, "provision", "provision.log", **vllm_builder.settings())
        note(second_host=build(second, "build", "second.log", **vllm_builder.settings()))
        port = free_port()
        services = {"demo": {"model": "demo", "port": port}}
        told = {**vllm_builder.settings(), "models": {"demo": {"method": "demo"}}, "services": services}
        note(served=build(second, "up", "serve.log", **told), answer=answer(port))
        second.power_off()
        theirs = by_hand(first, tree, about, options.by_hand)
        same = min(len(theirs), len(ours)) - 1
        note(by_hand_objects=same + 1, by_hand=theirs[same], ours_until_then=ours[same])
    return 0


def mtime(path: Path) -> float:
    return path.stat().st_mtime


if __name__ == "__main__":
    sys.exit(main())
