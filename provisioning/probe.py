"""Many read-only probes as one script, and its output taken apart again.

They run together in one shell, each in a subshell, its input at its end, its output framed by a random tag: to start
programs is what looking costs. Where one hangs, or kills that shell, all are asked again apart, each in a shell of its
own under `timeout`: a probe that hangs, fails or prints rubbish spoils no other. Probes reach their shell through a
pipe: one may hold the password of a mirror, and a command line shows.
"""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from provisioning.errors import ProbeError
from provisioning.host import Host

TIMEOUT = 20
"""Seconds that one probe may take, where the host's settings say nothing else (`look_timeout`).

Together they may take as many before they are asked apart."""
HUNG = 3
"""Probes that may hang, one after another, before no other is begun: what hangs then is the host, or its disk."""

_SHELL = "timeout -k 2 {limit} /bin/sh -c 'eval \"$(cat)\"'"


@dataclass(frozen=True)
class Probed:
    """What one probe printed (standard error included), and its exit code."""

    exit_code: int
    output: str
    limit: int = TIMEOUT

    def require(self, host: str, name: str) -> str:
        """Give the output. Raises `ProbeError` if the probe failed: "could not look" is never "absent"."""
        if self.exit_code in (124, 137):
            raise ProbeError(
                f"{host}: cannot look at {name} (it took over {self.limit} s)",
                cause=self.output[-2000:],
                remedy="Does a disk or a network file system of the host hang? "
                "If it is merely slow, raise look_timeout in the inventory.",
            )
        if self.exit_code:
            raise ProbeError(f"{host}: cannot look at {name} (exit {self.exit_code})", cause=self.output[-2000:])
        return self.output


def new_tag() -> str:
    """Give a tag that no probe's output can hold by accident or on purpose."""
    return f"probe-{secrets.token_hex(12)}"


def together(probes: Sequence[str], tag: str, limit: int = TIMEOUT) -> str:
    """Give a shell script that runs every probe in turn, all in one shell, for `limit` seconds in all.

    What is missing in its output went wrong.
    """
    each = (_framed(f"(eval {shlex.quote(probe)}) </dev/null 2>&1; code=$?", tag, n) for n, probe in enumerate(probes))
    # What is printed is sent at once: every packet costs at both ends, and each probe would be several.
    run = f"answers=$({_SHELL.format(limit=limit)} <<'{tag}'"
    return "\n".join(["export LC_ALL=C.UTF-8", run, *each, tag, ")", "printf '%s\\n' \"$answers\""])


def apart(probes: Sequence[str], tag: str, limit: int = TIMEOUT) -> str:
    """Give a shell script that runs every probe in turn, each in a shell of its own, for `limit` seconds at most."""
    shell = _SHELL.format(limit=limit)
    lines = ["export LC_ALL=C.UTF-8; hung=0"]
    for number, probe in enumerate(probes):
        run = (
            f"if [ $hung -lt {HUNG} ]; then printf '%s\\n' {shlex.quote(probe)} | {shell} 2>&1; else (exit 124); fi; "
            "code=$?; case $code in 124|137) hung=$((hung + 1)) ;; *) hung=0 ;; esac"
        )
        lines.append(_framed(run, tag, number))
    return "\n".join(lines)


def _framed(command: str, tag: str, number: int) -> str:
    return f"printf '\\n{tag} {number} begin\\n'; {command}; printf '\\n{tag} {number} end %s\\n' \"$code\""


def parse(output: str, tag: str, count: int, limit: int = TIMEOUT) -> list[Probed]:
    """Take the output of a script apart: one result for each probe, in order.

    Raises `ProbeError` when a result is missing: the script was cut off.
    """
    frames = re.compile(rf"\n{tag} (\d+) begin\n(.*?)\n{tag} \1 end (\d+)\n", re.DOTALL)
    found = {int(number): Probed(int(code), text, limit) for number, text, code in frames.findall(output)}
    if len(found) != count:
        raise ProbeError(f"only {len(found)} of {count} probes answered", cause=output[-500:])
    return [found[number] for number in range(count)]


def ask(
    host: Host, probes: Sequence[str], *, as_root: bool = True, prefix: str = "", timeout: float | None = None
) -> list[Probed]:
    """Run all probes on a host in one round trip, or two where one of them spoils it.

    `prefix` is shell that runs before them; `timeout`: seconds of silence.
    """
    tag = new_tag()
    for script in (together, apart):
        whole = prefix + script(probes, tag, host.look_timeout)
        result = host.run(whole, as_root=as_root, timeout=timeout, check=False)
        try:
            return parse(result.stdout, tag, len(probes), host.look_timeout)
        except ProbeError as error:
            failure = ProbeError(f"{host.name}: {error.message}", cause=result.words)
            if tag not in result.stdout:
                break  # no shell came to run them
    raise failure
