"""Known vulnerabilities of the installed Python packages, as pip-audit reports them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

OPTIONS = ("--local", "--skip-editable", "--format", "json", "--progress-spinner", "off", "--timeout", "5")
WAIT = 120
"""Seconds for all packages."""


def audit() -> bool:
    """Print what is known to be wrong; give whether that is nothing. Where nobody can be asked, say so: no failure."""
    program = Path(sys.executable).with_name("pip-audit")
    try:
        done = subprocess.run([program, *OPTIONS], capture_output=True, text=True, check=False, timeout=WAIT)
        packages = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, json.JSONDecodeError):
        print("pip-audit: skipped: cannot reach the service that knows vulnerabilities")
        return True
    lines = findings(packages)
    print("\n".join(lines))
    return not any(package.get("vulns") for package in packages)


def findings(packages: list[dict[str, Any]]) -> list[str]:
    """A line for each vulnerability, and one for how many packages were looked up."""
    lines = [
        f"{package['name']} {package['version']}: {vulnerability['id']}"
        f" (mended in {', '.join(vulnerability['fix_versions']) or 'no release'})"
        for package in packages
        for vulnerability in package.get("vulns", [])
    ]
    known = sum("skip_reason" not in package for package in packages)
    if not known:
        return ["pip-audit: skipped: the package index in use does not tell vulnerabilities"]
    return [*lines, f"pip-audit: {known} of {len(packages)} packages looked up, {len(lines)} vulnerabilities"]
