"""The same compilation by the program and by hand, with the same compiler and as many jobs: when was how much done?

    sudo .venv/bin/python -m benchmarks.compile.by_hand [--objects OBJECTS]

Boots a Debian 13 machine as the tests do, compiles the real vLLM in it through `invoke build` over SSH until OBJECTS
files are compiled (0: all), and then the same source with `pip wheel`. Ninja's own log tells how far each was when.
Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1] / "tests")]

from hosts import vllm_builder  # noqa: E402
from hosts.controller import Controller  # noqa: E402
from hosts.machine import Machine  # noqa: E402

from benchmarks.compile.benchmark import FOLDERS, Benchmark  # noqa: E402
from provisioning import releases  # noqa: E402

JOB_LOG = "/var/lib/vllm-provisioning/jobs/compile/log"
EVERY = 5
"""Seconds between two looks."""


def finished(log: str) -> list[float]:
    """Seconds from the first command's start to each command's end, in order, from a .ninja_log."""
    rows = [line.split("\t") for line in log.splitlines() if line[:1].isdigit()]
    ends = sorted(int(row[1]) for row in rows)
    began = min((int(row[0]) for row in rows), default=0)
    return [(end - began) / 1000 for end in ends]


def ninja_log(machine: Machine, folder: str) -> list[float]:
    """What the log below this folder says; nothing before there is one."""
    return finished(machine.run(f"cat $(find {folder} -name .ninja_log | head -n 1) </dev/null", check=False).stdout)


def ours(machine: Machine, controller: Controller, objects: int) -> tuple[list[float], str]:
    """Let the program compile until so many objects are made; gives its folder too."""
    running = controller.manage(machine, **vllm_builder.settings()).start("build", "--verbose")
    while running.process.poll() is None:
        time.sleep(EVERY)
        if objects and len(ninja_log(machine, f"{FOLDERS}/*/sources")) > objects:
            machine.run("until ! pkill -KILL '^(cc1plus|ninja|cmake|python.*|pip)$' -u vllm; do sleep 0.2; done")
            break
    done = running.done(3600)
    if not objects and done.code:
        raise SystemExit(done.output)
    found = ninja_log(machine, f"{FOLDERS}/*/sources")
    if not found:
        raise SystemExit(done.output)
    return found, machine.run(f"dirname {FOLDERS}/*/sources").stdout.strip()


def by_hand(machine: Machine, folder: str, jobs: int, objects: int) -> list[float]:
    """Run by_hand.sh until so many objects are made."""
    machine.run("cat >/srv/by_hand.sh", input=(HERE / "by_hand.sh").read_text())
    torch = releases.cpu_torch(releases.find(vllm_builder.VLLM).torch_cpu or "", "x86_64")
    machine.run(
        "systemd-run -q --unit by-hand -p LimitNOFILE=65536 "
        f"sh /srv/by_hand.sh {folder} {jobs} {torch} {vllm_builder.VLLM}"
    )
    while True:
        time.sleep(EVERY)
        ended = machine.run("systemctl -q is-active by-hand", check=False).returncode
        # Before there is a log of pip's, the tree is a copy of ours.
        begun = not machine.run("[ -e /srv/by-hand/log ]", check=False).returncode
        found = ninja_log(machine, "/srv/by-hand/source") if begun else []
        if ended or (objects and len(found) > objects):
            machine.run("systemctl stop by-hand", check=False)
            if not found:
                raise SystemExit(machine.run("journalctl -u by-hand --no-pager | tail -n 20").stdout)
            return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--objects", type=int, default=150, help="stop each after so many; 0 compiles all")
    options = parser.parse_args()
    with ExitStack() as stack, tempfile.TemporaryDirectory() as temporary:
        benchmark = Benchmark(HERE, Path(temporary), stack)
        machine = benchmark.machine("by-hand")
        program, folder = ours(machine, benchmark.controller, options.objects)
        jobs = int(re.findall(r"(\d+) files at once", machine.run(f"cat {JOB_LOG}").stdout)[-1])
        hand = by_hand(machine, folder, jobs, options.objects)
    least = min(len(program), len(hand))
    marks = [*range(25, least, 25), least]
    seconds = {mark: [program[mark - 1], hand[mark - 1]] for mark in marks}
    ratio = round(program[marks[-1] - 1] / hand[marks[-1] - 1], 3)
    text = json.dumps({"jobs": jobs, "seconds_ours_and_by_hand": seconds, "ratio": ratio})
    (HERE / "by_hand.json").write_text(text.replace('"seconds', '\n "seconds').replace('"ratio', '\n "ratio') + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
