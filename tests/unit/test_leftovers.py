"""What interrupted runs leave is found, and what is at work is let be."""

from __future__ import annotations

import fcntl
import subprocess
from pathlib import Path

from provisioning.places import STATE
from provisioning.resources.leftovers import Leftovers


def look(folder: Path) -> str:
    shell = Leftovers().probe().replace(STATE, str(folder))
    done = subprocess.run(["/bin/sh", "-c", shell], capture_output=True, text=True, check=True)
    assert not done.stderr
    return done.stdout


def job(folder: Path, name: str, *files: str) -> Path:
    for file in ("lock", "script", *files):
        (folder / "jobs" / name).mkdir(parents=True, exist_ok=True)
        (folder / "jobs" / name / file).touch()
    return folder / "jobs" / name


def test_on_a_bare_host_there_is_nothing(tmp_path: Path) -> None:
    assert look(tmp_path) == ""
    assert Leftovers().diff("") is None
    assert list(tmp_path.iterdir()) == [], "looking changes nothing"


def test_jobs_that_died_and_records_that_were_never_finished(tmp_path: Path) -> None:
    dead, record = job(tmp_path, "dead"), tmp_path / "made/17-abc.new"
    record.parent.mkdir()
    record.touch()
    (record.parent / "17-abd").touch()
    job(tmp_path, "ended", "status")
    with (job(tmp_path, "at-work") / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = look(tmp_path)
    assert found.splitlines() == [str(dead), str(record)]
    difference = Leftovers().diff(found)
    assert difference
    assert difference.text == f"delete what an interrupted run left: {dead} {record}"
