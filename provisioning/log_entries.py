"""Entries of a service's log, as journalctl prints them with --output=json: what they say, and where to go on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from provisioning.host import quote
from provisioning.templates import text


def of_unit(unit: str, lines: int, *, follow: bool, after: str) -> str:
    """Give shell that prints entries of a unit of systemd; see `Service.entries`."""
    fields = "--output=json --all --output-fields=MESSAGE,SYSLOG_IDENTIFIER,_PID"
    begin = f"--after-cursor={quote(after)} --no-tail" if after else f"--lines={lines}"
    go_on = "--follow" if follow else ""
    return f"journalctl --no-pager {fields} {begin} {go_on} --unit={quote(unit)}"


def of_program(name: str, lines: int, *, follow: bool, after: str) -> str:
    """Give shell that prints entries of a program of supervisord; `tail` cannot say where in its file it stands."""
    file, reader = quote(f"/var/log/vllm/{name}.log"), quote(text("follow_log.py"))
    return f"/usr/bin/python3 -I -c {reader} {file} {lines} {int(follow)} {quote(after)}"


@dataclass(frozen=True)
class Entry:
    """One entry; `cursor` is what the log is read on from."""

    cursor: str
    lines: tuple[str, ...]


def parse(line: bytes) -> Entry | None:
    """Give the entry of a line; None for what is none: words of a shell or of the supervisor's tools."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    if not isinstance(found, dict):
        return None
    head = _head(found)
    return Entry(str(found.get("__CURSOR", "")), tuple(head + row for row in _rows(_message(found))))


def _message(found: dict[str, Any]) -> str:
    message = found.get("MESSAGE")
    if isinstance(message, list):  # bytes that are no text; or several fields, of which that is the first
        numbers = message if all(isinstance(each, int) for each in message) else []
        return bytes(numbers).decode(errors="replace") if numbers else str(message[:1] and message[0])
    return "" if message is None else str(message)


def _rows(message: str) -> list[str]:
    """Its lines as a terminal leaves them: what follows a carriage return is written over the line, as by a bar."""
    return [row.rstrip("\r").rpartition("\r")[2] for row in message.removesuffix("\n").split("\n")]


def _head(found: dict[str, Any]) -> str:
    """When it was, by this machine's clock and time zone, and who said it; "" where the line itself says so."""
    if "__REALTIME_TIMESTAMP" not in found:
        return ""
    at = datetime.fromtimestamp(int(found["__REALTIME_TIMESTAMP"]) / 1e6).astimezone()
    pid = f"[{found['_PID']}]" if "_PID" in found else ""
    return f"{at.isoformat(timespec='seconds')} {found.get('SYSLOG_IDENTIFIER', '')}{pid}: "
