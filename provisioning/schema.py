"""The JSON Schema of an inventory file, for completion and checks in editors (yaml-language-server)."""

from __future__ import annotations

import json
from typing import Any

from invoke.context import Context

from provisioning.errors import ConfigurationError, ExitCode
from provisioning.inventory_tree import GROUP_KEYS
from provisioning.local_path import local_path
from provisioning.settings import HostSettings
from provisioning.whole_file import write_whole

CONNECTION: dict[str, dict[str, Any]] = {
    "ansible_host": {"type": "string", "description": "Address to connect to; else the host's name."},
    "ansible_port": {"type": ["integer", "string"], "description": "Port of SSH; else that of ~/.ssh/config, or 22."},
    "ansible_user": {"type": "string", "description": "User to connect as; else that of ~/.ssh/config, or your own."},
    "ansible_connection": {"type": "string", "description": "ssh, or local for this machine."},
    "ansible_ssh_private_key_file": {"type": "string", "description": "Private key of this machine to connect with."},
    "ansible_ssh_common_args": {
        "type": "string",
        "description": "Arguments for ssh: -J, and -o with ProxyJump or ProxyCommand, are honoured.",
    },
    "ansible_become": {"type": ["boolean", "string"], "description": "Whether to become root through sudo."},
}


def write(ctx: Context, output: str) -> ExitCode:
    """Write the JSON Schema; with Invoke's --dry, no file."""
    text = json.dumps(json_schema(), ensure_ascii=False, indent=2) + "\n"
    if output and ctx.config.run.dry:
        print(f"would write {output} ({len(text.splitlines())} lines)")
        return ExitCode.OK
    if not output:
        print(text, end="")
        return ExitCode.OK
    try:
        write_whole(local_path(output), text)
    except OSError as error:
        remedy = "Name a file in a folder that is there and yours to write to."
        raise ConfigurationError(
            f"--output: {output!r} cannot be written", cause=error.strerror or str(error), remedy=remedy
        ) from error
    return ExitCode.OK


def json_schema() -> dict[str, Any]:
    """The schema of a whole inventory: groups within groups, hosts, and variables with our settings among them."""
    settings = _close(HostSettings.model_json_schema(ref_template="#/$defs/{model}"))
    definitions = settings.pop("$defs")
    variables = {
        "description": "Settings, and variables of your own.",
        "type": ["object", "null"],
        "properties": {**settings["properties"], **CONNECTION},
        "additionalProperties": True,
    }
    sections = {
        "hosts": _mapping_of("Hosts by name; web[01:10] stands for ten.", "variables"),
        "children": _mapping_of("Groups below this one.", "group"),
        "vars": {"$ref": "#/$defs/variables"},
    }
    group = {
        "description": f"A group: {', '.join(GROUP_KEYS)}.",
        "type": ["object", "null"],
        "properties": sections,
        "additionalProperties": False,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Inventory",
        "description": "Hosts and what they serve, laid out as Ansible's YAML inventory.",
        "type": "object",
        "minProperties": 1,
        "additionalProperties": {"$ref": "#/$defs/group"},
        "$defs": {**definitions, "variables": variables, "group": group},
    }


def _mapping_of(description: str, definition: str) -> dict[str, Any]:
    reference = {"$ref": f"#/$defs/{definition}"}
    return {"description": description, "type": ["object", "string", "null"], "additionalProperties": reference}


def _close(schema: Any) -> Any:
    """Where keys have a pattern, allow no others: pydantic's schema leaves that open."""
    if isinstance(schema, list):
        return [_close(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _close(value) for key, value in schema.items()}
    return {**closed, "additionalProperties": False} if "patternProperties" in schema else closed
