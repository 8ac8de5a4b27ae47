"""Draws the figures of results.json: bars of seconds, ours darker, a group for each number of hosts."""

from __future__ import annotations

import json
from pathlib import Path

import jinja2

HERE = Path(__file__).parent


def draw(results: Path, target: Path) -> None:
    """Write the picture, if what it shows was measured."""
    figures = json.loads(results.read_text())
    late = figures.get("delayed", {"hosts": {}, "ms": 0})
    parts = [(hosts, "", found) for hosts, found in figures.get("idle", {}).items()]
    parts += [(hosts, f", {late['ms']} ms each way", found) for hosts, found in late["hosts"].items()]
    groups = [
        {
            "title": f"nothing to do on {hosts} host{'s' if hosts != '1' else ''}{line}",
            "most": max(each["seconds"] for each in found.values()),
            "rows": [(name, each["seconds"]) for name, each in found.items()],
        }
        for hosts, line, found in parts
    ]
    template = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        (HERE / "chart.svg.j2").read_text()
    )
    target.write_text(template.render(groups=groups, height=sum(50 + 22 * len(group["rows"]) for group in groups) + 10))
