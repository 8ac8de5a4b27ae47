"""Host names of an inventory: `web[01:10:2].example.com:2222` as Ansible expands it."""

from __future__ import annotations

import ipaddress
import re
import string
from collections.abc import Iterator

MAX_HOSTS = 10_000
MAX_RANGES = 10
_BRACKETED_PORT = re.compile(r"\[(.+)\]:([0-9]{1,9})")
_PORT = re.compile(r"((?:[^:\[\]]|\[[^\]]*\])*):([0-9]{1,9})")
_RANGE = r"\[(?:[a-z]:[a-z]|[0-9]+:[0-9]+)(?::[0-9]+)?\]"
_LABEL = rf"(?:[\w]|{_RANGE})(?:[\w_-]|{_RANGE})*(?<![_-])"
_HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.IGNORECASE)


def expand(pattern: str) -> tuple[list[str], int | None]:
    """The host names that a key under `hosts` stands for, and the port it names. Raises ValueError, with words."""
    if pattern.count("[") > MAX_RANGES:
        raise ValueError(f"the name holds more than {MAX_RANGES} ranges")
    address, port = split_port(pattern)
    return list(_expand(address)), port


def split_port(pattern: str) -> tuple[str, int | None]:
    """An address, and the port after it; what is no address is left whole, as Ansible leaves it."""
    address, port = pattern, None
    for form in (_BRACKETED_PORT, _PORT):
        if match := form.fullmatch(address):
            address, port = match[1], int(match[2])
    return (address, port) if is_address(address) else (pattern, None)


def is_address(text: str) -> bool:
    """Whether this is a host name, an IPv4 address (ranges allowed in both) or an IPv6 address."""
    try:
        return bool(_HOST_NAME.fullmatch(text) or ipaddress.IPv6Address(text))
    except ValueError:
        return False


def _expand(pattern: str) -> Iterator[str]:
    head, bracket, rest = pattern.partition("[")
    if not bracket:
        yield pattern
        return
    bounds, bracket, tail = rest.partition("]")
    if not bracket:
        raise ValueError("the range lacks its closing ]")
    tails = list(_expand(tail))
    parts = _sequence(bounds)
    if len(parts) * len(tails) > MAX_HOSTS:
        raise ValueError(f"the range stands for more than {MAX_HOSTS} hosts")
    yield from (head + part + end for part in parts for end in tails)


def _sequence(bounds: str) -> list[str]:
    begin, end, step = _bounds(bounds)
    letters = string.ascii_letters
    if begin in letters and end in letters:
        found = list(letters[letters.index(begin) : letters.index(end) + 1 : step])
    elif begin.isdecimal() and end.isdecimal():
        width = len(begin) if begin.startswith("0") and len(begin) > 1 else 0
        if width and len(end) != width:
            raise ValueError(f"the range {begin}:{end} should have equally long ends")
        numbers = range(int(begin), int(end) + 1, step)
        if len(numbers) > MAX_HOSTS:
            raise ValueError(f"the range stands for more than {MAX_HOSTS} hosts")
        found = [str(number).zfill(width) for number in numbers]
    else:
        raise ValueError(f"the range [{bounds}] should run between two numbers or two letters")
    if not found:
        raise ValueError(f"the range [{bounds}] is empty")
    return found


def _bounds(text: str) -> tuple[str, str, int]:
    if len(text) > 30:
        raise ValueError(f"the range [{text[:30]}…] is too long")
    begin, *others = text.split(":")
    if len(others) not in (1, 2) or not others[0]:
        raise ValueError(f"the range [{text}] should be [begin:end] or [begin:end:step]")
    step = others[1] if len(others) == 2 else "1"
    if not step.isdecimal() or int(step) < 1:
        raise ValueError(f"the step of the range [{text}] should be a positive integer")
    return begin or "0", others[0], int(step)
