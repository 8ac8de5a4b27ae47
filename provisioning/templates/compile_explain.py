"""What went wrong in a build: the first error of the compiler, and what helps."""

import re

LOST_ISA = re.compile(r"Disable .*(AVX512|AMX).*requires gcc.*")
"""What cmake says where it goes on without kernels that the processor could use. ("no … found in local CPU flags"
speaks of the processor: nothing is lost.)"""

FIRST = (
    re.compile(
        r"error: (?!subprocess-exited|ld returned)|^CMake Error|undefined reference|ld: cannot find|:\d+: Error: |"
        r"No space left on device|Killed signal|"
        r"ModuleNotFoundError|out of memory|[Cc]annot allocate memory|^fatal: ([Cc]ould not|unable|repository)"
    ),
    re.compile(r"^FAILED: |ninja: error|^\S*Error: "),
    LOST_ISA,
)
"""What a first error looks like: the sooner named, the more it says."""

CAUSES = (
    (
        r"Killed signal terminated program|Killed\s+.*(cc1plus|g\+\+)|signal 9|^Killed$|out of memory|"
        r"[Cc]annot allocate memory",
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
        r"requires gcc/g\+\+ >= [\d.]+|unrecognized command.line option|bad value .* for .*-march=|no such instruction",
        "the compiler is too old for this vLLM",
        "Take gcc 12.3 or newer: build.cxx; or the prebuilt wheel: build.method: wheel",
    ),
    (
        r"numa\.h|cannot find -lnuma",
        "libnuma's headers are missing",
        "Run `invoke provision`: it installs libnuma-dev. A compiler with a sysroot of its own (conda-forge's) "
        "needs them in there.",
    ),
    (
        r"(?i)could not resolve host|failed to connect|unable to access 'https?:|error in git clone|rpc failed",
        "the build wants to download something, and cannot",
        "The lines above name it: give a mirror in build.onednn.sources, or another release in build.vllm.",
    ),
    (
        r"ModuleNotFoundError|No module named",
        "a Python package that the build needs is missing",
        "Run the same command again; if it stays, another release (build.vllm).",
    ),
    (r"Python\.h: No such file", "Python's headers are missing", "Run `invoke provision`: it installs python3-dev."),
    (
        r"is not a full path to an existing compiler|unable to find a build program",
        "the compiler, or ninja, has gone",
        "Run `invoke provision`, then the same command again.",
    ),
    (
        r"(?s)^FAILED: (?!.*error)",
        "the compiler ended without a word, as one does that is killed for want of memory",
        "Compile fewer files at once (build.jobs: 1), and look into the host's journal.",
    ),
)


def explain(log: str) -> str:
    """The first error with its surroundings, and its likely cause. What else stands in the log says nothing of it."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    numbers = (number for pattern in FIRST for number, line in enumerate(lines) if pattern.search(line))
    found = next(numbers, None)
    shown = lines[-8:] if found is None else lines[max(0, found - 1) : found + 5]
    if not shown:
        return "The build failed, and said nothing."
    words = ["The build failed. Its first error:", *(f"  {line[:300]}" for line in shown)]
    blamed = "\n".join(shown if found is None else lines[found : found + 5])
    for pattern, cause, remedy in CAUSES:
        if re.search(pattern, blamed, re.MULTILINE):
            words += [f"Likely cause: {cause}.", remedy]
            break
    return "\n".join(words)
