"""Templates of files and scripts for hosts, and the programs that run there."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment, Template

FOLDER = Path(__file__).parent


@cache
def _environment() -> Environment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )


def load(name: str) -> Template:
    """Give a template by its file name."""
    return _environment().get_template(name)


def text(name: str) -> str:
    """Give a file that is sent as it is."""
    return (FOLDER / name).read_text()
