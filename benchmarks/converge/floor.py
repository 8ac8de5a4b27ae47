"""The floor: one command on each host over a bare Fabric connection, as a person would write it.

`python floor.py INVENTORY` takes the inventory of the project, whose host keys are known.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fabric
import yaml


def true(host: dict[str, Any]) -> bool:
    key = {"key_filename": host["ansible_ssh_private_key_file"]}
    port = host.get("ansible_port", 22)
    with fabric.Connection(host["ansible_host"], "root", port, connect_kwargs=key) as connection:
        return bool(connection.run("true", hide=True).ok)


if __name__ == "__main__":
    hosts = list(yaml.safe_load(Path(sys.argv[1]).read_text())["all"]["hosts"].values())
    with ThreadPoolExecutor(len(hosts)) as pool:
        sys.exit(not all(pool.map(true, hosts)))
