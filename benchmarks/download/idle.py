"""What looking at a model costs where there is nothing to do: the CPU's time on the host, and round trips."""

from __future__ import annotations

import hashlib
import statistics
import subprocess
from pathlib import Path

from measuring import cpu_of_children

from provisioning import probe
from provisioning.host import Host
from provisioning.resources.downloaded_model import DownloadedModel
from provisioning.templates import download_records
from provisioning.transport.local import LocalTransport

FILES = 2000
TIMES = 21


def look_at_many_files(folder: Path) -> dict[str, float]:
    """Make a downloaded model of 2,000 files, and look at it."""
    for number in range(FILES):
        file = folder / f"{number // 100:02}" / f"model-{number:05}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{number}\n")
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*.json")]
    hashes = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    download_records.save(str(folder), {"key": "k1", "method": "git"}, hashes)
    model = DownloadedModel("many", str(folder), "k1", "the test", "exit 1", lambda: "")
    cpu = statistics.median(_cpu(model.probe()) for _ in range(TIMES))
    host = Host("here", LocalTransport())
    host.sudo = "none"
    (found,) = probe.ask(host, [model.probe()])
    if difference := model.diff(found.output.strip("\n")):
        raise RuntimeError(difference)
    return {"files": FILES, "cpu milliseconds": round(1000 * cpu, 1), "round trips": host.round_trips}


def _cpu(script: str) -> float:
    """Seconds of the CPU that a script takes, with all that it starts."""
    before = cpu_of_children()
    subprocess.run(["sh", "-c", script], check=True, capture_output=True)
    return cpu_of_children() - before
