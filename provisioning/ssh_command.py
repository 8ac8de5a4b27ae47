"""The ssh command that goes where an inventory's host is, for people to type. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from provisioning.inventory import HostEntry


def ssh_command(entry: HostEntry, options: Sequence[str] = (), command: Sequence[str] = ()) -> list[str]:
    """Give its words; what the inventory leaves to ~/.ssh/config is left to it here too."""
    ssh = entry.ssh
    words = ["ssh", *options]
    if entry.settings.host_keys == "accept-new":
        words += ["-o", "StrictHostKeyChecking=accept-new"]
    if ssh.port:
        words += ["-p", str(ssh.port)]
    if ssh.private_key_file:
        words += ["-i", ssh.private_key_file]
    if ssh.proxy.jumps:
        words += ["-J", ",".join(ssh.proxy.jumps)]
    if ssh.proxy.command:
        words += ["-o", f"ProxyCommand={ssh.proxy.command}"]
    return [*words, f"{ssh.user}@{ssh.address}" if ssh.user else ssh.address, *command]


def forwarding(local_port: int, address: str, port: int) -> list[str]:
    """Give the options that only forward a port of this machine's loopback, in the background once that works."""
    there = f"[{address}]" if ":" in address else address
    return ["-f", "-N", "-o", "ExitOnForwardFailure=yes", "-L", f"{local_port}:{there}:{port}"]
