"""What went wrong in a build: the first error of the compiler, and what helps."""

import re

LOST_ISA = re.compile(r"Disable AVX512.{0,10}BF16.*|Disable AVX512.* ISA support.*|Disable .*AMX.* support.*")
"""What cmake says where it goes on without kernels that the processor could use."""

FIRST = re.compile(
    r"(fatal )?error: |: error:|^CMake Error|^FAILED: |ninja: error|undefined reference|No space left on device|"
    r"Killed signal|ModuleNotFoundError|^\S*Error: ",
    re.MULTILINE,
)

CAUSES = (
    (
        r"Killed signal terminated program cc1plus|Killed\s+.*(cc1plus|g\+\+)|out of memory|cannot allocate memory",
        "the compiler was killed for want of memory",
        "Compile fewer files at once (build.jobs: 1), stop other programs, or add swap.",
    ),
    (r"No space left on device", "the disk is full", "Make room, then run the same command again: it goes on."),
    (
        LOST_ISA.pattern,
        "this compiler would drop kernels that newer processors use",
        "Take gcc 12.3 or newer (build.cxx), or accept it: build.allow_missing_isa: true",
    ),
    (
        r"requires gcc/g\+\+ >= [\d.]+|unrecognized command.line option|-mamx-|-mavx512bf16",
        "the compiler is too old for this vLLM",
        "Take gcc 12.3 or newer: build.cxx; or the prebuilt wheel: build.method: wheel",
    ),
    (
        r"numa\.h|cannot find -lnuma",
        "libnuma's headers are missing",
        "Run `invoke provision`: it installs libnuma-dev.",
    ),
    (
        r"(?i)could not resolve host|failed to connect|unable to access 'https?:|error in git clone",
        "the build wants to download something, and cannot",
        "The lines above name it: give a mirror in build.onednn.sources, or another release in build.vllm.",
    ),
    (
        r"ModuleNotFoundError|No module named",
        "a Python package that the build needs is missing",
        "Run the same command again; if it stays, another release (build.vllm).",
    ),
    (r"Python\.h: No such file", "Python's headers are missing", "Run `invoke provision`: it installs python3-dev."),
)


def explain(log: str) -> str:
    """The first error with its surroundings, and the likely cause."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    found = next((number for number, line in enumerate(lines) if FIRST.search(line) or LOST_ISA.search(line)), None)
    shown = lines[-8:] if found is None else lines[max(0, found - 1) : found + 5]
    words = ["The build failed. Its first error:", *(f"  {line[:300]}" for line in shown)]
    for pattern, cause, remedy in CAUSES:
        if re.search(pattern, log):
            words += [f"Likely cause: {cause}.", remedy]
            break
    return "\n".join(words)
