"""For tests of `init`: hosts as they were seen, and what is written read back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bare_hosts import FACTS
from sites import GIB, h100s

from provisioning.facts import Facts
from provisioning.init import text
from provisioning.init.found import Found
from provisioning.init.looking import Answer, Seen
from provisioning.inventory import Inventory, load

WELL, BADLY, SLOWLY = Answer(True, 0.2, "x answers"), Answer(False, 5, "x: no answer"), Answer(True, 9, "x answers")
CPU = replace(FACTS, cores=16, memory=128 * GIB)
GPU = replace(CPU, gpus=h100s(1))


def seen(facts: Facts = FACTS, *, free: int = 500 * GIB, index: Answer = WELL, **answers: Answer) -> Seen:
    told = {"tsinghua": WELL, "modelscope": WELL, "huggingface": WELL, **answers}
    return Seen(facts, free, index, **told)


def write(content: str, name: str) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def written(found: Found) -> Inventory:
    """As it is read back from what is written."""
    folder = Path("written")
    folder.mkdir(exist_ok=True)
    return load(write(text.inventory(text.Draft(found)), "written/inventory.yaml"))
