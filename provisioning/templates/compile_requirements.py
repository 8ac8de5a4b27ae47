"""Requirements without what must not be installed beside a CPU build of torch.

Left out: torch itself (it is pinned elsewhere), its companions (from a plain index they come for CUDA, and break
imports), everything for CUDA, and everything with a direct URL, such as triton's on GitHub.

    compile_requirements.py WHEEL     prints what a wheel needs, one a line
"""

import os
import re
import sys
import zipfile
from collections.abc import Iterable, Iterator

LEFT_OUT = re.compile(
    r"(torch|torchvision|torchaudio|torchcodec|triton|pytorch-triton|nvidia-.*|cuda-.*|cupy-cuda.*|flashinfer.*|vllm-.*)"
)
"""By their normalized names: https://packaging.python.org/en/latest/specifications/name-normalization/"""
REQUIRES = re.compile(r"""^requires\s*=\s*\[((?:[\s,]|#.*|"[^"]*"|'[^']*')*)\]""", re.MULTILINE)


def kept(lines: Iterable[str]) -> Iterator[str]:
    """The requirements that are installed."""
    for line in lines:
        requirement = re.sub(r"(^|\s)#.*$", "", line).strip()
        name = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", requirement)
        if not name or re.search(r"\s@\s|://", requirement):
            continue
        if not LEFT_OUT.fullmatch(re.sub(r"[-_.]+", "-", name[0]).lower()):
            yield requirement


def filtered(tree: str, file: "str | None") -> list[str]:
    """What the build of a source tree needs: from its file of requirements, or else from pyproject.toml."""
    if file and os.path.exists(os.path.join(tree, file)):
        return list(kept(included(os.path.join(tree, file))))
    with open(os.path.join(tree, "pyproject.toml"), encoding="utf-8") as opened:
        table = REQUIRES.search(opened.read())
    strings = re.findall(r"""#.*|"([^"]*)"|'([^']*)'""", table[1]) if table else []
    return list(kept(double or single for double, single in strings))


def included(path: str, outer: "tuple[str, ...]" = ()) -> Iterator[str]:
    """The lines of a file of requirements and of those that it names with -r, each file once in a chain."""
    with open(path, encoding="utf-8") as opened:
        for line in opened:
            other = re.match(r"\s*(?:-r\s*|--requirement[\s=]+)(\S+)", line)
            inner = os.path.normpath(os.path.join(os.path.dirname(path), other[1])) if other else ""
            if not other:
                yield line
            elif inner not in (*outer, path):
                yield from included(inner, (*outer, path))


def of_wheel(path: str) -> list[str]:
    """What a wheel needs, without extras."""
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
        rows = archive.read(name).decode().partition("\n\n")[0].splitlines()
    needs = (row.partition(":")[2] for row in rows if row.startswith("Requires-Dist:"))
    return list(kept(need for need in needs if not re.search(r";.*\bextra\s*==", need)))


if __name__ == "__main__":
    print("\n".join(of_wheel(sys.argv[1])))
