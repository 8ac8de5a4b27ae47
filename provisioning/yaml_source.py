"""Reads YAML with the line of every key. No code is run, whatever the file says."""

from __future__ import annotations

import errno
import os
import select
from pathlib import Path

import yaml

from provisioning.errors import ConfigurationError
from provisioning.yaml_document import Document
from provisioning.yaml_nodes import LOADER, MAX_DEPTH, MAX_NODES, Builder

MAX_BYTES = 8 * 2**20
PATIENCE = 30
"""Seconds to wait for the first of it: what is read may be made meanwhile, as by `--inventory <(decrypt …)`."""


def read(path: Path, label: str) -> Document:
    """Read a YAML file. Raises ConfigurationError where it cannot be read or is no YAML."""
    try:
        content = _content(path)
    except OSError as error:
        raise ConfigurationError(f"{label} cannot be read", cause=str(error.strerror)) from error
    if len(content) > MAX_BYTES:
        raise ConfigurationError(f"{label} is too large", cause=f"It has more than {MAX_BYTES} bytes.")
    try:
        return parse(content.decode("utf-8-sig"), label)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigurationError(f"{label} is not valid YAML", cause=f"{label}:{line}: is not UTF-8 text") from error


def _content(path: Path) -> bytes:
    """Give a file's content, or more of it than may be. Raises OSError, also where a FIFO has nobody who writes."""
    # Who opens a FIFO waits without end for one who writes, unless told not to.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
        if not select.select([stream], [], [], PATIENCE)[0]:
            raise TimeoutError(errno.ETIMEDOUT, f"Nobody has written anything into it for {PATIENCE} s")
        os.set_blocking(stream.fileno(), True)
        return stream.read(MAX_BYTES + 1)


def parse(text: str, label: str) -> Document:
    """Parse one YAML document. Raises ConfigurationError on broken YAML; what else is wrong is in `problems`."""
    document = Document(label)
    try:
        _bound(text, label)
        node = yaml.compose(text, Loader=LOADER)
        if node is not None:
            document.lines[()] = node.start_mark.line + 1
            document.data = Builder(document).build(node, ())
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{label} is not valid YAML", cause=_explain(error, text, label)) from error
    return document


def _bound(text: str, label: str) -> None:
    """Look at nesting and size before any node is made: libyaml's composer recurses in C, and nodes are large."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=LOADER)):
        if count > 4 * MAX_NODES:  # a key and a value, each with a beginning and an end
            raise ConfigurationError(f"{label} is too large", cause=f"It holds more than {MAX_NODES} values.")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            line = event.start_mark.line + 1 if event.start_mark else 1
            cause = f"{label}:{line}: is nested more than {MAX_DEPTH} levels deep"
            raise ConfigurationError(f"{label} is nested too deeply", cause=cause)


def _explain(error: yaml.YAMLError, text: str, label: str) -> str:
    if isinstance(error, yaml.reader.ReaderError):
        place = text[: error.position] if isinstance(error.position, int) else ""
        return f"{label}:{place.count(chr(10)) + 1}: holds a character that YAML does not allow"
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line = mark.line + 1 if mark else 1
    words = ", ".join(str(part) for part in (getattr(error, "context", ""), getattr(error, "problem", "")) if part)
    lines = text.splitlines()
    indent = lines[line - 1][: -len(lines[line - 1].lstrip()) or None] if line <= len(lines) else ""
    return f"{label}:{line}: {words}" + ("; indent with spaces, not with tabs" if "\t" in indent else "")
