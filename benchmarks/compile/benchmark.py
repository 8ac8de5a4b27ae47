"""What compiling vLLM costs: cold, with ccache, with nothing to do, and on a second host.

    sudo .venv/bin/python -m benchmarks.compile.benchmark [--wheels FOLDER]

Boots Debian 13 machines as the tests do, and compiles the real vLLM in one through `invoke build` over SSH. With a
folder that `invoke wheels --export` has written nothing is compiled: what remains is measured. Nothing else should run
meanwhile. The comparison with `pip wheel` is by_hand.py.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
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


class Benchmark:
    """Machines, the controller that manages them, and the figures so far."""

    def __init__(self, folder: Path, temporary: Path, stack: ExitStack) -> None:
        self.folder, self._stack = folder, stack
        self._key = temporary / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self._key], check=True)
        self.controller = Controller(temporary / "home")
        self._figures: dict[str, Any] = json.loads(self._results.read_text()) if self._results.exists() else {}

    @property
    def _results(self) -> Path:
        return self.folder / "results.json"

    def note(self, **values: Any) -> None:
        """Add figures to those of results.json."""
        self._figures.update(values)
        self._results.write_text(json.dumps(self._figures, indent=2) + "\n")
        print(values, flush=True)

    def machine(self, name: str) -> Machine:
        """A machine that can compile."""
        return vllm_builder.make(self._boot, name=name)

    def _boot(self, release: str, **more: Any) -> Machine:
        machine = Machine(release, self._key, **more)
        self._stack.callback(machine.discard)
        return machine.start()

    def seconds(self, machine: Machine, task: str, transcript: str, **told: Any) -> float:
        """Run a task to its good end; what it said goes into the folder."""
        self.controller.manage(machine, **told)
        done = self.controller.run(task, "--verbose", timeout=4 * 3600)
        (self.folder / transcript).write_text(done.output)
        if done.code:
            raise SystemExit(done.output)
        return round(done.seconds, 1)

    def newest(self) -> dict[str, Any]:
        """The manifest of the wheel that was compiled last."""
        manifests = self.controller.home.glob(".local/share/vllm-provisioning/wheels/*/manifest.json")
        found: dict[str, Any] = json.loads(max(manifests, key=lambda file: file.stat().st_mtime).read_text())
        return found

    def compile(self) -> None:
        """Cold, and with a warm ccache under another key."""
        first, peak = self.machine("builder"), Peak()
        with looking(peak.look, every=1):
            cold = self.seconds(first, "build", "cold.log", **vllm_builder.settings())
        about = self.newest()
        disk = int(first.run(f"du -sk {FOLDERS}/{about['key'][:12]} | cut -f 1").stdout) * 1024
        self.note(cold_build=cold, cold_compile=about["seconds"], jobs=about["jobs"], disk=disk)
        self.note(peak_of_one=peak.one, heaviest=peak.heaviest, peak_together=peak.together)
        warm = self.seconds(first, "build", "warm.log", **vllm_builder.settings(cmake_args="-DANOTHER=1"))
        self.note(warm_build=warm, warm_compile=self.newest()["seconds"])
        first.power_off()

    def take(self) -> None:
        """A second host takes the wheel, has nothing to do, and serves."""
        second = self.machine("second")
        self.seconds(second, "provision", "provision.log", **vllm_builder.settings())
        self.note(second_host=self.seconds(second, "build", "second.log", **vllm_builder.settings()))
        again = [self.seconds(second, "build", "again.log", **vllm_builder.settings()) for _ in range(3)]
        self.note(nothing_to_do=again)
        port = free_port()
        services = {"demo": {"model": "demo", "port": port}}
        told = {**vllm_builder.settings(), "models": {"demo": {"method": "demo"}}, "services": services}
        self.note(served=self.seconds(second, "up", "serve.log", **told), answer=answer(port))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--wheels", type=Path, help="take the compiled wheel from this folder")
    parser.add_argument("--folder", type=Path, default=HERE, help="folder for results.json and what was said")
    options = parser.parse_args()
    with ExitStack() as stack, tempfile.TemporaryDirectory() as temporary:
        benchmark = Benchmark(options.folder, Path(temporary), stack)
        if options.wheels:
            benchmark.controller.bare("wheels", "--take", str(options.wheels))
        else:
            benchmark.compile()
        benchmark.take()
    return 0


if __name__ == "__main__":
    sys.exit(main())
