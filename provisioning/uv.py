"""uv on a host, made to honour the host's pip configuration: uv itself reads neither pip.conf nor PIP_* variables."""

from __future__ import annotations

from provisioning.accounts import as_account
from provisioning.host import quote
from provisioning.site import TOOLS, Site
from provisioning.templates import text


def script(site: Site, command: str) -> str:
    """Give a root shell script that runs `command` as the account that serves, with a configured `uv` on its PATH.

    pip itself reads its settings: those of the whole host, root's (variables too), and the account's.
    """
    # A cache of our own: it can be removed with what it was for.
    ours = f'PATH={TOOLS}/bin:$PATH; export UV_CACHE_DIR="$HOME/.cache/vllm-provisioning/uv"'
    pip_config = f"{TOOLS}/bin/pip config list"
    account_config = as_account(site.account, site.home, f"cd /; {pip_config}")
    return (
        f"settings=$({{ {pip_config}; {account_config}; }} | "
        f"{TOOLS}/bin/python -I -c {quote(text('pip_to_uv.py'))}) || exit 1\n"
        + as_account(site.account, site.home, f'{ours}; cd "$HOME"; {command}', before='printf "%s\\n" "$settings"')
        + "\n"
    )
