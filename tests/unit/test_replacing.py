"""What is replaced: a folder of the kind that is made, and nothing that somebody else keeps under its name."""

from __future__ import annotations

import subprocess
from pathlib import Path

from sites import DEMO, site

from provisioning.replacing import require_replaceable
from provisioning.resources import Product
from provisioning.steps import environment, model


def refusal(path: Path) -> str:
    """What is said before such a path is replaced; "" where it may be."""
    script = require_replaceable(str(path), ("pyvenv.cfg", "conda-meta"), "an environment", "move it away")
    done = subprocess.run(["sh", "-ec", script], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (1 if done.stdout else 0, "")
    return done.stdout


def test_nothing_and_an_empty_folder_and_one_of_the_kind_may_be_replaced(tmp_path: Path) -> None:
    place = tmp_path / "it's $(mine)"
    assert refusal(place) == ""
    place.mkdir()
    assert refusal(place) == ""
    (place / "bin").mkdir()
    (place / "conda-meta").mkdir()
    assert refusal(place) == ""


def test_anything_else_may_not(tmp_path: Path) -> None:
    place = tmp_path / "it's $(mine)"
    place.mkdir()
    (place / ".notes").write_text("a year of work")
    said = f"{place} is there already, and is not an environment: move it away\n"
    assert refusal(place) == said
    (place / ".notes").rename(tmp_path / "notes")
    place.rmdir()
    place.symlink_to(tmp_path)
    assert refusal(place) == said
    place.unlink()
    place.write_text("a file")
    assert refusal(place) == said


def test_it_is_asked_before_anything_is_deleted() -> None:
    told = site({**DEMO, "environment": {"manager": "uv"}})
    found = [*environment.resources(told), *model.resources(told)]
    products = {each.job_name: each for each in found if isinstance(each, Product)}
    for job in ("environment", "model-demo"):
        # A run that was refused has left its record, and `remove` follows it.
        for script in (products[job].script, products[job].undo("")):
            assert 0 < script.index("is there already") < script.index("rm -rf"), job
