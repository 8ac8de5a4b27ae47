"""Entries of a service's log, as journalctl prints them with --output=json: what they say, and where to go on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any


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
    return Entry(str(found.get("__CURSOR", "")), tuple(head + row for row in _message(found).splitlines() or [""]))


def _message(found: dict[str, Any]) -> str:
    message = found.get("MESSAGE")
    if isinstance(message, list):  # bytes that are no text; or several fields, of which that is the first
        numbers = message if all(isinstance(each, int) for each in message) else []
        return bytes(numbers).decode(errors="replace") if numbers else str(message[:1] and message[0])
    return "" if message is None else str(message)


def _head(found: dict[str, Any]) -> str:
    """When it was, by this machine's clock and time zone, and who said it; "" where the line itself says so."""
    if "__REALTIME_TIMESTAMP" not in found:
        return ""
    at = datetime.fromtimestamp(int(found["__REALTIME_TIMESTAMP"]) / 1e6).astimezone()
    pid = f"[{found['_PID']}]" if "_PID" in found else ""
    return f"{at.isoformat(timespec='seconds')} {found.get('SYSLOG_IDENTIFIER', '')}{pid}: "
