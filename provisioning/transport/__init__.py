"""How bytes reach a host: a process on this machine, or a channel of an SSH connection."""
