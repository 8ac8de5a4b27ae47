"""How long it takes to find nothing to do, beside Ansible, pyinfra and a bare Fabric connection; and the first run.

    sudo .venv/bin/python -m benchmarks.converge.benchmark [--hosts 1 8 32] [--rounds N] [--parts idle delayed]

Boots Debian machines as the tests do. All programs run in turn, so that other work on the machine meets all.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "tests")]

import yaml  # noqa: E402
from chart import draw  # noqa: E402
from contenders import Contenders, Run, shown, write_files  # noqa: E402
from hosts.machine import Machine  # noqa: E402
from machines import WHEEL, Machines  # noqa: E402

NAMES = ("floor", "ours", "pyinfra", "ansible")
PARTS = ("idle", "delayed", "first", "many")
LONG_LINE = 2200
"""The port behind which hosts are far away."""
LISTENS = 16
"""Addresses that one sshd listens on, at most (MAX_LISTEN_SOCKS in its sshd.c)."""
ADDRESSES = [f"127.0.2.{number}" for number in range(1, 201)]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--hosts", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, help="programs to run")
    parser.add_argument("--delay", type=int, default=50, help="milliseconds each way")
    parser.add_argument("--results", type=Path, default=HERE / "results.json")
    return parser.parse_args()


class Benchmark:
    """The options, the machines, and the figures so far."""

    def __init__(self, options: argparse.Namespace, folder: Path, stack: ExitStack) -> None:
        self.options, self.folder = options, folder
        self.machines = Machines(folder, stack)
        self.contenders = Contenders(self.machines.controller, folder, WHEEL)
        self._figures: dict[str, Any] = json.loads(options.results.read_text()) if options.results.exists() else {}

    def note(self, part: str, found: Any) -> None:
        """Add figures to those of the results, with the load of the machine."""
        self._figures |= {"cpu": f"{platform.machine()}, {os.cpu_count()} cores", part: found}
        self._figures[f"load after {part}"] = round(os.getloadavg()[0], 1)
        self.options.results.write_text(json.dumps(self._figures, indent=1) + "\n")
        print(part, shown(found), flush=True)

    def first(self) -> Machine:
        """From fresh machines, each program its own; packages come from the cache of the machine. Gives ours."""
        found, port = {}, None
        peers = set(self.options.only) & {"pyinfra", "ansible"} if "first" in self.options.parts else set()
        for name in ("ours", *sorted(peers)):
            (fresh,) = self.machines.boot(1)
            port = self.machines.manage([fresh], port)
            if name == "ours":
                mine = fresh
            else:
                write_files(self.folder / fresh.name, mine.root)
            self.contenders.tell(first=True)
            found[name] = round(self.contenders.run(name, nothing_to_do=False).seconds, 1)
            if fresh is not mine:
                fresh.discard()
            else:
                # Its like share one network: none is to take the port of this one's service when it boots.
                mine.run("systemctl disable vllm@own")
                mine.shutdown()
        if "first" in self.options.parts:
            self.note("first", found)
        return mine

    def prepare(self, like: Machine) -> list[Machine]:
        """As many as are wanted at most, converged; the others' files are what that has written."""
        made = self.machines.boot(max(self.options.hosts), like)
        self.machines.manage(made)
        self.machines.controller.succeed("serve", timeout=1200)
        for machine in made:
            write_files(self.folder / machine.name, machine.root)
        return made

    def idle(self) -> None:
        """With nothing to do."""
        self.note("idle", {count: self.rounds(count) for count in self.options.hosts})

    def rounds(self, count: int) -> dict[str, Any]:
        """Let all run in turn, several times, on the first so many hosts. The first round only warms caches."""
        self.contenders.tell(count)
        runs: dict[str, list[Run]] = {name: [] for name in self.options.only}
        for number in range(self.options.rounds + 1):
            for name in runs:
                run = self.contenders.run(name)
                print(f"{count:3} hosts, {name:8} {run.seconds:6.2f} s, {run.cpu:6.2f} s of the CPU", flush=True)
                runs[name] += [run] if number else []
        return summary(runs)

    def delayed(self) -> None:
        """The same over a line on which everything takes longer."""
        with self.far_away():
            found = {count: self.rounds(count) for count in self.options.hosts}
        self.note("delayed", {"ms": self.options.delay, "hosts": found})

    @contextmanager
    def far_away(self) -> Iterator[None]:
        """Let every host be reached through a proxy that delays."""
        controller = self.machines.controller
        near, known = controller.inventory.read_text(), (controller.ssh / "known_hosts").read_text()
        told = yaml.safe_load(near)
        hosts = told["all"]["hosts"].values()
        targets = [f"{host['ansible_host']}:{host.get('ansible_port', 22)}" for host in hosts]
        for host in hosts:
            host["ansible_port"] = LONG_LINE
        keys = [line.partition(" ")[2] for line in known.splitlines()]
        lines = (f"[{t.rpartition(':')[0]}]:{LONG_LINE} {key}\n" for t, key in zip(targets, keys, strict=True))
        controller.know(*lines)
        controller.write(told)
        seconds = str(self.options.delay / 1000)
        command = [sys.executable, HERE / "delayed.py", seconds, str(LONG_LINE), *targets]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as proxy:
            assert proxy.stdout
            proxy.stdout.readline()
            yield
            proxy.kill()
        controller.inventory.write_text(near)
        controller.know(known)

    def many(self, like: Machine) -> None:
        """One machine behind 200 addresses: memory, and time per host."""
        (one,) = self.machines.boot(1, like)
        for few in range(0, len(ADDRESSES), LISTENS):
            listen = " ".join(f"-o ListenAddress={address}:22" for address in ADDRESSES[few : few + LISTENS])
            one.run(f"/usr/sbin/sshd -o MaxStartups=1000 -o PidFile=none {listen}")
        self.machines.manage([one])
        controller = self.machines.controller
        controller.succeed("serve")
        told = yaml.safe_load(controller.inventory.read_text())
        host = {**told["all"]["hosts"][one.name], "ansible_port": 22}
        told["all"]["hosts"] = {f"host{n}": {**host, "ansible_host": ip} for n, ip in enumerate(ADDRESSES)}
        controller.write(told).know(*(f"{ip} {one.known_hosts.partition(' ')[2]}" for ip in ADDRESSES))
        found = {}
        for count in (1, 8, 32, 100, 200):
            self.contenders.tell(count)
            runs = [self.contenders.run("ours") for _ in range(max(1, self.options.rounds - 2))]
            least = min(run.seconds for run in runs)
            found[count] = {"seconds": round(least, 2), "per host": round(least / count, 3)}
            found[count]["MB"] = round(max(run.memory for run in runs) / 1e6)
        self.note("many", found)


def summary(runs: dict[str, list[Run]]) -> dict[str, Any]:
    """Medians and minima of each program, and the ratios of our median by theirs."""
    found: dict[str, Any] = {}
    for name, each in runs.items():
        seconds = [run.seconds for run in each]
        found[name] = {"seconds": round(statistics.median(seconds), 2), "least": round(min(seconds), 2)}
        found[name]["cpu"] = round(statistics.median(run.cpu for run in each), 2)
        if name != "ours" and "ours" in runs:
            ours = statistics.median(run.seconds for run in runs["ours"])
            found[name]["ours by it"] = round(ours / statistics.median(seconds), 3)
    return found


def main() -> int:
    options = arguments()
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="benchmark-converge-", dir="/var/tmp") as folder:
        benchmark = Benchmark(options, Path(folder), stack)
        mine = benchmark.first()
        if {"idle", "delayed"} & set(options.parts):
            benchmark.prepare(mine)
        for part in ("idle", "delayed"):
            if part in options.parts:
                getattr(benchmark, part)()
        if "many" in options.parts:
            benchmark.many(mine)
    draw(options.results, options.results.with_name("seconds.svg"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
