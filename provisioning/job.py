"""Long work that outlives the connection: detached on the host, with script, log and exit status in one folder.

The controller follows the log. When SSH drops, or the controller is killed, the job goes on, and the next run finds
it (same name, same inputs) and follows it again.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from provisioning.beating import BEATING
from provisioning.errors import JobError
from provisioning.host import Host, quote
from provisioning.places import STATE
from provisioning.retry import following

JOBS = f"{STATE}/jobs"
JOINED = "this job runs already: following it"
SILENCE = 45
"""Seconds without a sign of life after which the connection is taken for dead (the follower beats every 5 s)."""

RECONNECTS = 4
"""Losses of the connection in a row, without a sign of life between them, after which a job is left alone."""

# The folder's lock is held by the job and its children as long as any lives: no stale pid can fool anyone. It is taken
# here and handed on, so that whoever looks right after the start does not find a job that seems to have died.
_START = """
set -eu
umask 022
d={folder}
mkdir -p "$d"; chmod 700 "$d"
exec 9>>"$d/lock"
if ! flock -n 9; then
    [ "$(cat "$d/key" 2>/dev/null)" = {key} ] && {{ echo joined; exit; }}
    {on_other}
fi
printf %s {key} >"$d/key"
base64 -d >"$d/script" <<'END'
{script}
END
rm -f "$d/status" "$d/pid"; : >"$d/log"
cat >"$d/run" <<'END'
cd /
/bin/sh "$1/script" </dev/null >>"$1/log" 2>&1
status=$?
# It may hold a token or a password: what has ended leaves none behind.
rm -f "$1/script"
printf '%s\\n' "$status" >"$1/status.new"; mv "$1/status.new" "$1/status"
END
setsid --fork sh -c 'printf "%s\\n" $$ >"$0/pid"; exec /bin/sh "$0/run" "$0"' "$d" \\
    </dev/null >/dev/null 2>&1
echo started
"""

_BEAT = f"\nprintf 'waiting\\n'\n{BEATING}"
_STOP_OTHER = """
[ ! -s "$d/pid" ] || kill -TERM "-$(cat "$d/pid")" 2>/dev/null || :
flock -w 60 9 || { echo "the job that runs does not stop" >&2; exit 75; }
"""
_WAIT_OTHER = "\nflock 9"

_STOP = """
d={folder}
[ -d "$d" ] || exit 0
exec 9>>"$d/lock"
! flock -n 9 || exit 0
{stop}
rm -f "$d/script"
# It did not die: nothing of it is to be put right. As a shell tells of who was ended by SIGTERM.
printf '%s\\n' 143 >"$d/status.new"; mv "$d/status.new" "$d/status"
echo stopped
"""

_FOLLOW = """
d={folder}; seen={offset}; quiet=0
while :; do
    ended=; [ -e "$d/status" ] && ended=1
    [ -n "$ended" ] || [ "$quiet" -gt 0 ] || ! flock -n "$d/lock" true || ended=1
    size=$(stat -c %s "$d/log")
    if [ "$size" -gt "$seen" ]; then
        tail -c +$((seen + 1)) "$d/log" | head -c $((size - seen)); seen=$size
    fi
    [ -n "$ended" ] && break
    quiet=$(((quiet + 1) % 20)); [ "$quiet" -ne 0 ] || printf '\\000'
    sleep 0.25
done
printf '\\001{tag} %s\\n' "$(cat "$d/status" 2>/dev/null || echo lost)"
"""


# What programs say for bars alone: in the words of a failure it would only stand before what matters.
_PROGRESS = re.compile(r"^(progress \{|(dl|pm)status:).*\n?", re.MULTILINE)


@dataclass(frozen=True)
class Job:
    """A root shell script to run to its end; `inputs` is all that its result depends on."""

    name: str
    script: str
    inputs: str = ""
    interruptible: bool = True
    """Whether a running job of this name with other inputs is stopped; if not, its end is awaited."""

    @property
    def key(self) -> str:
        """Hash of everything that goes in."""
        return hashlib.sha256(f"{self.script}\0{self.inputs}".encode(errors="surrogateescape")).hexdigest()[:32]

    @property
    def folder(self) -> str:
        """The job's folder on the host."""
        return f"{JOBS}/{self.name}"


def run(host: Host, job: Job, on_line: Callable[[str], None]) -> str:
    """Run `job` or join it where it runs already, follow it to its end, and give its log.

    Raises `JobError` with the end of its log when it fails.
    """
    with host.echo.instead(job.script):
        return _run(host, job, on_line)


def _run(host: Host, job: Job, on_line: Callable[[str], None]) -> str:
    start = _START.format(
        folder=quote(job.folder),
        key=job.key,
        on_other=_BEAT + (_STOP_OTHER if job.interruptible else _WAIT_OTHER),
        script=base64.b64encode(job.script.encode(errors="surrogateescape")).decode(),
    )
    follower = _Follower(on_line)
    policy = following(
        RECONNECTS,
        lambda: follower.signs,
        on_retry=lambda _: on_line("connection lost; the job goes on, connecting again"),
    )
    if policy(_start, host, start, on_line) == "joined":
        on_line(JOINED)
    policy(follower.follow, host, job)
    if follower.status != "0":
        how = f"exit {follower.status}" if follower.status != "lost" else "it was killed, or the host went down"
        raise JobError(
            f"{host.name}: {job.name} failed ({how})",
            status=follower.status,
            cause=tail(_PROGRESS.sub("", follower.text), 25),
            remedy="When that is mended, run the same command again.",
            log=f"{job.folder}/log, on {host.name}",
        )
    return follower.text


def stop(host: Host, name: str) -> bool:
    """End the job of this name; give whether one ran. Raises `CommandError` where it does not end."""
    return host.run(_STOP.format(folder=quote(f"{JOBS}/{name}"), stop=_STOP_OTHER)).stdout.endswith("stopped\n")


def _start(host: Host, script: str, on_line: Callable[[str], None]) -> str:
    """Start it; gives `started` or `joined`."""
    said = bytearray()

    def on_output(chunk: bytes) -> None:
        if not said and chunk.startswith(b"waiting"):
            on_line("another job of this name, with other inputs, has to end first")
        said.extend(chunk)

    host.run(script, timeout=SILENCE, on_output=on_output)
    return said.replace(b"\0", b" ").decode().split()[-1]


class _Follower:
    """Reads a job's log from where it was left."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self.seen = 0
        self.signs = 0
        """How often anything came: log, or a beat."""
        self.status = ""
        self._log = bytearray()
        self._pending = b""
        self._on_line = on_line

    @property
    def text(self) -> str:
        return self._log.decode(errors="replace")

    def follow(self, host: Host, job: Job) -> None:
        tag = f"job-{secrets.token_hex(12)}"
        marker = b"\x01" + tag.encode()
        received = bytearray()

        def on_output(chunk: bytes) -> None:
            self.signs += 1
            received.extend(chunk.replace(b"\0", b""))
            cut = _complete(received, marker)
            self._take(received[:cut])
            del received[:cut]

        script = _FOLLOW.format(folder=quote(job.folder), offset=self.seen, tag=tag)
        host.run(script, timeout=SILENCE, on_output=on_output)
        self.status = received.removeprefix(marker).decode().strip() or "lost"
        if self._pending:
            self._on_line(self._pending.decode(errors="replace"))
            self._pending = b""

    def _take(self, data: bytes | bytearray) -> None:
        self.seen += len(data)
        self._log.extend(data)
        *lines, self._pending = (self._pending + data).replace(b"\r", b"\n").split(b"\n")
        for line in lines:
            if line.strip():
                self._on_line(line.decode(errors="replace"))


def _complete(received: bytearray, marker: bytes) -> int:
    """How much of `received` is surely log: all before the closing marker, or before what may be its beginning."""
    if (found := received.find(marker)) >= 0:
        return found
    for length in range(min(len(marker) - 1, len(received)), 0, -1):
        if received.endswith(marker[:length]):
            return len(received) - length
    return len(received)


def tail(text: str, lines: int) -> str:
    """The last lines of a log."""
    return "\n".join(text.rstrip().splitlines()[-lines:])
