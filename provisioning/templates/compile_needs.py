"""What a compiled wheel needs of a host that is to run it."""

import os
import re
import zipfile
from typing import Any

FLAGS = {
    "-mavx2": "avx2",
    "-mavx512f": "avx512f",
    "-mavx512bf16": "avx512_bf16",
    "-mavx512vnni": "avx512_vnni",
    "-mamx-tile": "amx_tile",
    "+bf16": "bf16",
    "+dotprod": "asimddp",
    "+fp16": "asimdhp",
    "+i8mm": "i8mm",
}
"""What g++ calls an instruction set (on ARM behind -march=), and what /proc/cpuinfo calls it."""


def needs(wheel: str, log: str) -> "dict[str, Any]":
    """What a host must have to run it: glibc, and CPU flags; and the variants that are in it."""
    versions, variants = set(), []
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.endswith(".so"):
                versions |= set(re.findall(rb"\0GLIBC_2\.(\d+)(?=\0)", archive.read(name)))
                variants.append(os.path.basename(name).partition(".")[0])
    flags = re.findall(r"CPU extension compile flags: (.*)", log)
    # Since several variants are built side by side the host's own is chosen when vLLM is imported.
    wanted = ["avx2"] if any("AVX2" in variant for variant in variants) else []
    if flags and not wanted:
        wanted = [FLAGS[flag] for flag in re.split(r"[;\s]+|(?=\+)", flags[-1]) if flag in FLAGS]
    return {"glibc": f"2.{max(map(int, versions), default=0)}", "cpu_flags": wanted, "variants": sorted(variants)}
