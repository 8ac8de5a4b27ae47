"""Shell that works as another account than the one that runs it, and what of the environment it takes along."""

from __future__ import annotations

import os

from provisioning.host import END, RUN, quote
from provisioning.shell_reading import HOME_OF

NETWORK_VARIABLES = (
    *("http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"),
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_CERT", "PIP_TRUSTED_HOST"),
    *("PIP_PROXY", "PIP_DEFAULT_TIMEOUT", "UV_OFFLINE", "UV_PYTHON_DOWNLOADS"),
)
"""How a host reaches the network: these pass sudo and changes of account, nothing else does."""


def network_environment() -> str:
    """Give shell that sets this machine's network variables; sudo would drop them."""
    pairs = ((name, os.environ[name]) for name in NETWORK_VARIABLES if name in os.environ)
    return "".join(f"export {name}={quote(value)}\n" for name, value in pairs)


# Prints shell that sets the same variables: their values may hold passwords of proxies and indexes.
_EXPORTS = (
    f"for name in {' '.join(NETWORK_VARIABLES)}; do "
    r"""eval "value=\${$name-}"; [ -z "$value" ] || """
    r"""printf "export %s='%s'\n" "$name" "$(printf %s "$value" | sed "s/'/'\\\\''/g")"; done"""
)


def looking_as(account: str, group: str, script: str) -> str:
    """Root shell that looks as another account: of one command, and without a session in the host's log each time.

    An account that does not exist yet has no eyes of its own; then root looks.
    """
    name = quote(account)
    return (
        f"{HOME_OF}look={quote(script)}\nif home_of {name}; then "
        f'exec setpriv --reuid={name} --regid={quote(group)} --init-groups /bin/sh -c "$look"; '
        'else exec /bin/sh -c "$look"; fi'
    )


def as_account(account: str, home: str, command: str, *, before: str = "") -> str:
    """Shell that runs `command` as the account that serves, from a root shell, with that account's own HOME.

    Only a few variables pass: root's HOME, XDG folders and conda settings are not the account's. `before` is root shell
    that prints what the account's shell is to run first. All of it goes through a pipe, for a command line shows.
    """
    variables = f'HOME={quote(home)} USER={quote(account)} LOGNAME={quote(account)} PATH="$PATH" LANG=C.UTF-8'
    script = f"{_EXPORTS}; {before + '; ' if before else ''}printf '%s\\n' {quote(command)} {quote(END)}"
    return f"{{ {script}; }} | runuser -u {quote(account)} -- env -i {variables} /bin/sh -c {quote(RUN)}"
