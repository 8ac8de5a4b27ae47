"""What this project made on a host: a record written before each change, from which `remove` takes it all back."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

from provisioning.host import Host
from provisioning.places import STATE
from provisioning.resources import Resource

MADE = f"{STATE}/made"

# The shell's own words for a full disk are "I/O error".
_SPACE = (
    f"[ \"$(df -P -k {STATE} | awk 'NR == 2 {{ print $4 }}')\" -ge 1024 ] || "
    f"{{ echo 'No space left on device: under 1 MB is free for {STATE}' >&2; exit 1; }}"
)


@dataclass(frozen=True)
class Record:
    """One thing that was made: its name, and the shell that takes it back."""

    file: str
    name: str
    undo: str


def write(host: Host, changes: Iterable[tuple[Resource, str]]) -> None:
    """Record what is about to be made, with its state before (one round trip). The first record of a thing stays."""
    lines = ["set -eu", "umask 077", f"mkdir -p {MADE}", _SPACE]
    for resource, actual in changes:
        if not (undo := resource.undo(actual)):
            continue
        digest = hashlib.sha256(resource.name.encode()).hexdigest()[:16]
        record = base64.b64encode(json.dumps({"name": resource.made(actual), "undo": undo}).encode()).decode()
        lines.append(
            f"if ! ls {MADE}/*-{digest} >/dev/null 2>&1; then {resource.keep(actual) or ':'}\n"
            f"f={MADE}/$(date +%s%N)-{digest}; printf %s {record} >$f.new; sync $f.new; mv $f.new $f; fi"
        )
    if len(lines) > 4:
        host.run("\n".join(lines))


def read(host: Host) -> list[Record]:
    """Give every record, newest first (one round trip)."""
    result = host.run(f'for f in {MADE}/*; do [ -f "$f" ] && printf "%s %s\\n" "$f" "$(cat "$f")"; done; :')
    records = []
    for line in sorted(result.stdout.splitlines(), reverse=True):
        file, _, encoded = line.partition(" ")
        if not file.endswith(".new"):
            record = json.loads(base64.b64decode(encoded))
            records.append(Record(file, record["name"], record["undo"]))
    return records
