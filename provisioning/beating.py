"""Signs of life from a script that otherwise says nothing for long: without them its connection is taken for dead."""

from __future__ import annotations

SECONDS = 5
"""Between two signs."""

# The sleep ends with it: an account that still has a process cannot be removed. Descriptor 9 is that of a lock, which a
# sleep may not hold. Where nobody reads any more it ends by itself.
BEATING = (
    "(trap 'kill $nap 2>/dev/null; exit' TERM; nap=; "
    f"while :; do sleep {SECONDS} >/dev/null 2>&1 & nap=$!; wait $nap; "
    "printf '\\000' || exit; done) 9>&- & trap \"kill $! 2>/dev/null || :\" EXIT"
)
"""Shell, one line: a zero byte every few seconds, until the shell that runs it ends, whose EXIT trap it takes."""
