"""Our downloads beside those of other programs, from the same servers on loopback.

    sudo .venv/bin/python -m benchmarks.download.benchmark [--size MB] [--throttled-size MB] [--rounds N] [--only git]

Takes a network of its own, in which nothing but loopback is. Needs nginx, git-lfs, aria2, iproute2, and the packages of
the extra `test`. Everything is measured in turn, so that other work on the machine meets all.
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
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
sys.path[:0] = [str(HERE), *(str(PROJECT / each) for each in ("tests", "provisioning/templates"))]

from chart import draw  # noqa: E402
from clients import CLIENTS, Client  # noqa: E402
from idle import look_at_many_files  # noqa: E402
from measuring import Run, run  # noqa: E402
from servers import CuttingProxy, Servers, make_model, throttled  # noqa: E402

PARTS = ("fast", "throttled", "cuts", "idle")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", type=int, default=1000, help="MB of the model on a line without limit")
    parser.add_argument("--throttled-size", type=int, default=250, help="MB of the model for all else")
    parser.add_argument("--rate", type=float, default=25, help="MB/s of the throttled line")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure")
    parser.add_argument("--only", default="", help="one program, or all of one protocol; the others' figures stay")
    parser.add_argument("--results", type=Path, default=HERE / "results.json")
    return parser.parse_args()


def isolate() -> None:
    """Start again in a network of our own, unless this is it: nothing of the benchmark leaves it."""
    if os.environ.get("BENCHMARK_NETWORK") != "own":
        os.execvpe("unshare", ["unshare", "--net", *sys.orig_argv], {**os.environ, "BENCHMARK_NETWORK": "own"})
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


class Benchmark:
    """The options, a folder to work in, and the figures so far."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options, self.folder = options, folder
        self.clients = [client for client in CLIENTS if options.only in (client.name, client.protocol, "")]
        self._figures: dict[str, Any] = json.loads(options.results.read_text()) if options.results.exists() else {}

    def note(self, **values: Any) -> None:
        """Add figures to those of the results, with the load of the machine."""
        for part in values.keys() & self._figures.keys():
            if "programs" in values[part]:
                values[part]["programs"] = {**self._figures[part]["programs"], **values[part]["programs"]}
        load = {f"load after {part}": round(os.getloadavg()[0], 1) for part in values}
        self._figures |= {"cpu": f"{platform.machine()}, {os.cpu_count()} cores", **values, **load}
        self.options.results.write_text(json.dumps(self._figures, indent=1) + "\n")

    @contextmanager
    def servers(self, megabytes: int) -> Iterator[Servers]:
        """Hubs that have a model of this size."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            model = make_model(Path(folder) / "model", megabytes * 10**6)
            servers = Servers(model, Path(folder))
            with servers.serving():
                yield servers

    def rounds(self, servers: Servers, rate: float) -> dict[str, dict[str, float]]:
        """Let all download in turn, several times."""
        runs: dict[str, list[Run]] = {client.name: [] for client in self.clients}
        for _ in range(self.options.rounds):
            for client in self.clients:
                with throttled(int(rate * 1e6)):
                    runs[client.name].append(self.one(client, servers, servers.urls[client.protocol], bool(rate)))
        return {name: summary(found, servers.size) for name, found in runs.items()}

    def one(self, client: Client, servers: Servers, url: str, watched: bool) -> Run:
        """One download."""
        found = run(client, servers, url, self.folder / "run", watched=watched)
        print(f"{client.name:20} {found}", flush=True)
        return found

    def fast(self) -> None:
        """On a line without limit."""
        with self.servers(self.options.size) as servers:
            self.note(fast={"megabytes": self.options.size, "programs": self.rounds(servers, 0)})

    def throttled(self) -> None:
        """On a line of so many MB/s, looking at the disk."""
        with self.servers(self.options.throttled_size) as servers:
            found = self.rounds(servers, self.options.rate)
        self.note(throttled={"megabytes": self.options.throttled_size, "rate": self.options.rate, "programs": found})

    def cuts(self) -> None:
        """On a line that is cut twenty times: how much of the model the server has sent, in all."""
        found: dict[str, Any] = {}
        with self.servers(self.options.throttled_size) as servers:
            weight = next(path for path in servers.model.glob("*.safetensors")).stat().st_size
            for client in self.clients:
                with CuttingProxy(servers.hubs[client.protocol]) as line:
                    line.size = weight
                    took = self.one(client, servers, line.url().rstrip("/"), False)
                    sent = round(line.weights_sent() / (weight * 4), 4)
                found[client.name] = {"sent": sent, "attempts": took.attempts, "cuts": 20 - line.cuts}
                print(found[client.name], flush=True)
        self.note(cuts={"megabytes": self.options.throttled_size, "programs": found})

    def idle(self) -> None:
        """Nothing to do on a model of 2,000 files."""
        self.note(idle=look_at_many_files(self.folder / "many"))


def summary(runs: list[Run], size: int) -> dict[str, float]:
    """The medians: MB/s, the CPU's seconds, and the most disk by the model's size."""
    peak = max(each.peak for each in runs)
    return {
        "MB/s": round(size / 1e6 / statistics.median(each.seconds for each in runs), 1),
        "seconds": round(statistics.median(each.seconds for each in runs), 2),
        "cpu": round(statistics.median(each.cpu for each in runs), 2),
        **({"disk": round(peak / size, 3)} if peak else {}),
    }


def main() -> int:
    options = arguments()
    isolate()
    with tempfile.TemporaryDirectory(prefix="benchmark-download-", dir="/var/tmp") as folder:
        benchmark = Benchmark(options, Path(folder))
        for part in PARTS:
            if part in options.parts:
                getattr(benchmark, part)()
    draw(options.results, options.results.with_name("throughput.svg"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
