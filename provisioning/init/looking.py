"""What `init` sees of a host: its facts, room on its disk, and which servers answer it, and how soon."""

from __future__ import annotations

import re
from dataclasses import dataclass

from provisioning import free_space, gpus, probe
from provisioning.doctor_mirrors import Mirror, package_indexes
from provisioning.facts import Facts, gather
from provisioning.findings import GIB, OK
from provisioning.host import Host, quote
from provisioning.inventory import HostEntry
from provisioning.model_settings import Hubs
from provisioning.settings import Pip

ISA = {"amx_bf16": "AMX", "avx512_bf16": "AVX512-BF16", "avx512f": "AVX512", "avx2": "AVX2"}
"""What vLLM has kernels for, the best first."""
ROOT = {"none": "", "free": "sudo without a password", "password": "sudo with a password"}
"""How root is become."""


@dataclass(frozen=True)
class Answer:
    """Whether a server gives what is asked of it, and how soon."""

    reached: bool
    seconds: float
    words: str


@dataclass(frozen=True)
class Seen:
    """A host as it was found."""

    facts: Facts
    free: int
    """Bytes that are free where models are put; 0 where that is not known."""
    index: Answer
    """Its package index."""
    tsinghua: Answer
    modelscope: Answer
    huggingface: Answer

    def __str__(self) -> str:
        """In a line."""
        facts = self.facts
        isa = next((name for flag, name in ISA.items() if flag in facts.cpu_flags), "")
        parts = (
            facts.os_name,
            " ".join(filter(None, (facts.architecture, f"{facts.cores} cores", isa))),
            f"{facts.memory / GIB:.1f} GiB",
            gpus.describe(facts.gpus) or facts.gpu_complaint or "no GPU",
            f"{self.free / GIB:.0f} GiB free",
            ", ".join(filter(None, (f"as {facts.user}", ROOT.get(facts.sudo, "no way to root")))),
        )
        return "; ".join(parts)


def look(host: Host, entry: HostEntry) -> Seen:
    """Look at a host: two round trips, nothing changed."""
    settings = entry.settings
    facts = gather(host, account=settings.account, conda_path=settings.miniconda.path)
    room, *answers = probe.ask(host, [_room(facts.home), *map(timed, servers())], as_root=False)
    found = (answered(mirror, each.output) for mirror, each in zip(servers(), answers, strict=True))
    index, tsinghua, modelscope, *others = found
    huggingface = next((each for each in others if each.reached), others[0])
    fields = room.output.split()
    free = int(fields[3]) if len(fields) > 3 and fields[3].isdecimal() else 0
    return Seen(facts, free, index, tsinghua, modelscope, huggingface)


def servers() -> list[Mirror]:
    """Who is asked: the host's own index, Tsinghua's, and the hubs."""
    hubs = Hubs()
    urls = (hubs.modelscope, *hubs.huggingface)
    return [
        *package_indexes(Pip()),
        *package_indexes(Pip(index="tuna")),
        *(Mirror(f"ask {quote(url)}", "hubs", root=True) for url in urls),
    ]


def _room(home: str) -> str:
    return f"{free_space.ROW}; df_row {quote(home)}"


def timed(mirror: Mirror) -> str:
    """Shell that asks a mirror, and prints how long that took."""
    return f"began=$(date +%s%N)\n{mirror.probe}\necho $((($(date +%s%N) - began) / 1000000)) ms"


def answered(mirror: Mirror, output: str) -> Answer:
    """What a probe printed; one that was cut off says nothing of time, and reached nobody."""
    match = re.fullmatch(r"(.*?)\n(\d+) ms\s*", output, re.DOTALL)
    if not match:
        return Answer(False, float(probe.TIMEOUT), f"no answer within {probe.TIMEOUT} s")
    finding = mirror.judge(match[1])
    return Answer(finding.level == OK, int(match[2]) / 1000, finding.text)
