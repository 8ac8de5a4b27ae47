"""Many read-only probes as one script, and its output taken apart again.

They run together in one shell, each in a subshell, its input at its end, its output framed by a random tag: to start
programs is what looking costs. So files and folders are looked at all at once first, and a probe that asks for nothing
else is not run where they are as they should be. Where one hangs, or kills that shell, all are asked again apart, each
in a shell of its own under `timeout`: a probe that hangs, fails or prints rubbish spoils no other. Probes reach their
shell through a pipe: one may hold the password of a mirror, and a command line shows.
"""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from provisioning.errors import ProbeError
from provisioning.host import OVER, Host

TIMEOUT = 20
"""Seconds that one probe may take, where the host's settings say nothing else (`look_timeout`).

Together they may take as many before they are asked apart."""
HUNG = 3
"""Probes that may hang, one after another, before no other is begun: what hangs then is the host, or its disk."""

# Bytes pass as they are. Of any other locale every program loads the files, which takes it a third of a millisecond.
_LOCALE = "export LC_ALL=C"

AS_WANTED = "as wanted"
"""The answer of a probe that need not run."""

# Sets `found` to lines of those that exist: a hash and a file, or mode, owner, group and a path. Files through no link.
_FIND = """set --; for path in {files}; do [ -L "$path" ] || ! [ -f "$path" ] || set -- "$@" "$path"; done
found="
$({{ [ $# = 0 ] || sha256sum -- "$@"
    for path in {folders}; do ! [ -d "$path" ] || set -- "$@" "$path/"; done
    [ $# = 0 ] || stat -L -c '%a %U %G %n' -- "$@"; }} 2>/dev/null)
"
has() {{ for line; do case $found in *"$line
"*) ;; *) return 1 ;; esac; done; }}"""


@dataclass(frozen=True)
class OnDisk:
    """A file or a folder as it should be."""

    path: str
    state: str = ""
    """Mode, owner and group, as in `644 root root`; "" for any."""
    sha256: str = ""
    """Of a file's content; "" is for a folder."""

    def lines(self) -> list[str]:
        """What of `found` says so, each from after a line's end, or from within a line."""
        path = self.path if self.sha256 else f"{self.path}/"
        state = f"\n{self.state} {path}" if self.state else f" {path}"
        return [state, f"\n{self.sha256}  {path}"] if self.sha256 else [state]


@dataclass(frozen=True)
class Probe:
    """Read-only shell that prints a state."""

    script: str
    unless: tuple[OnDisk, ...] = ()
    """If all of these are so, the answer is `AS_WANTED`, and the script is not run."""
    isolated: bool = True
    """Whether it may do to its shell what it likes, such as `exit`: that takes a shell of its own, which takes time."""
    while_same: str = ""
    """A shell variable, set by a probe before: as long as it has one value, this probe's answer is the same."""

    def known(self, value: str, answer: str) -> Probe:
        """Give one that need not look, and answers this, while the variable has this value."""
        remembered = f'[ "${self.while_same}" = {shlex.quote(value)} ] && printf %s {shlex.quote(answer)}'
        look = f"({self.script}\n)" if self.isolated else self.script
        return replace(self, script=f"if {remembered}; then :; else\n{look}\nfi", isolated=False, while_same="")

    @property
    def can_be_settled(self) -> bool:
        """Whether what is on disk may answer it: names with such characters are printed in another form."""
        return bool(self.unless) and not any(set("\\\n\r") & set(each.path) for each in self.unless)


@dataclass(frozen=True)
class Probed:
    """What one probe printed (standard error included), and its exit code."""

    exit_code: int
    output: str
    limit: int = TIMEOUT

    def require(self, host: str, name: str) -> str:
        """Give the output. Raises `ProbeError` if the probe failed: "could not look" is never "absent"."""
        if self.exit_code in (OVER, 137):
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


def together(probes: Sequence[Probe | str], tag: str) -> str:
    """Give a shell script that runs every probe in turn, all in one shell.

    What is missing in its output went wrong.
    """
    asked = [each if isinstance(each, Probe) else Probe(each) for each in probes]
    looks = [each for probe in asked if probe.can_be_settled for each in probe.unless]
    each = (_framed(f"{_settled(probe)}; code=$?", tag, number) for number, probe in enumerate(asked))
    # What is printed is sent at once: every packet costs at both ends, and each probe would be several.
    return "\n".join([_LOCALE, "answers=$(", _find(looks), *each, ")", "printf '%s\\n' \"$answers\""])


def _find(looks: Sequence[OnDisk]) -> str:
    if not looks:
        return ":"
    files, folders = ({each.path: None for each in looks if bool(each.sha256) is is_file} for is_file in (True, False))
    return _FIND.format(files=shlex.join(files), folders=shlex.join(folders))


def _settled(probe: Probe) -> str:
    script = f"eval {shlex.quote(probe.script)}"
    run = f"{f'({script})' if probe.isolated else script} </dev/null 2>&1"
    if not probe.can_be_settled:
        return run
    lines = shlex.join([line for each in probe.unless for line in each.lines()])
    return f"if has {lines}; then echo {AS_WANTED}; else {run}; fi"


def apart(probes: Sequence[Probe | str], tag: str, limit: int = TIMEOUT) -> str:
    """Give a shell script that runs every probe in turn, each in a shell of its own, for `limit` seconds at most."""
    lines = [f"{_LOCALE}; hung=0"]
    for number, probe in enumerate(probes):
        script = shlex.quote(probe.script if isinstance(probe, Probe) else probe)
        run = (
            f"if [ $hung -lt {HUNG} ]; then printf '%s\\n' {script} | "
            f"timeout -k 2 {limit} /bin/sh -c 'eval \"$(cat)\"' 2>&1; else (exit 124); fi; "
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
    host: Host, probes: Sequence[Probe | str], *, as_root: bool = True, prefix: str = "", timeout: float | None = None
) -> list[Probed]:
    """Run all probes on a host in one round trip, or two where one of them spoils it.

    `prefix` is shell that runs before them; `timeout`: seconds of silence.
    """
    tag, limit = new_tag(), host.look_timeout
    result = host.run(prefix + together(probes, tag), as_root=as_root, timeout=timeout, limit=limit, check=False)
    with suppress(ProbeError):
        return parse(result.stdout, tag, len(probes), limit)
    if tag in result.stdout or result.exit_code in (0, OVER) or result.exit_code < 0:
        result = host.run(prefix + apart(probes, tag, limit), as_root=as_root, timeout=timeout, check=False)
    try:
        return parse(result.stdout, tag, len(probes), limit)
    except ProbeError as error:
        raise ProbeError(f"{host.name}: {error.message}", cause=result.words) from None
