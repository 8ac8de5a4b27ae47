"""The machines of `tests/hosts`, for the story that `test_up.py` tells."""

from hosts.conftest import module_machine, proxy, ssh_key

__all__ = ["module_machine", "proxy", "ssh_key"]
