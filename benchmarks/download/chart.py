"""Draws the figures of results.json: bars of MB/s, ours darker, one group for each protocol."""

from __future__ import annotations

import json
from pathlib import Path

import jinja2
from clients import CLIENTS

HERE = Path(__file__).parent


def draw(results: Path, target: Path) -> None:
    """Write the picture, if what it shows was measured."""
    figures = json.loads(results.read_text())
    parts = [figures[part] for part in ("fast", "throttled") if part in figures]
    groups = [
        {
            "title": f"{part['megabytes']} MB, " + (f"{part['rate']:g} MB/s line" if "rate" in part else "no limit"),
            "most": max(found["MB/s"] for found in part["programs"].values()),
            "rows": [
                (client.name, client.protocol, client.ours, part["programs"][client.name]["MB/s"])
                for client in CLIENTS
                if client.name in part["programs"]
            ],
        }
        for part in parts
    ]
    template = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        (HERE / "chart.svg.j2").read_text()
    )
    target.write_text(template.render(groups=groups, height=sum(50 + 22 * len(group["rows"]) for group in groups) + 10))
