"""git and git-lfs, without a terminal to ask at: logins that no command line shows, and what their complaints mean."""

import asyncio
import os
import re
import shutil
import subprocess
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

LOGIN = re.compile(r"(?<=//)[^/?#\s]+@")
"""All that stands before a URL's host; a password may hold a raw @."""

TIED = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
"""How a program is run that is to end with us, however we end."""

SLOW = ("-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=60")
"""A connection below a kilobyte a second for a minute is a dead one."""

CONNECTING = 15
"""Seconds within which a server takes a connection. Git itself waits as long as the kernel does: two minutes."""
PORTS = {"http": 80, "https": 443}

HELPER = (
    r"""!f() { [ $1 != get ] || printf 'username=%s\npassword=%s\n' "$GIT_LOGIN_USER" "$GIT_LOGIN_PASSWORD"; }; f"""
)
"""A credential helper that reads the environment, which other accounts cannot see: a command line shows."""

REFUSED = re.compile(
    r"not found|authentication failed|could not read (username|password)|error: 40[134]|does not appear to be a git|"
    r"does not exist|no such file|not exported|access denied|permission denied|host key verification failed|"
    r"host identification has changed|dubious ownership|invalid refspec|"
    r"certificate problem|certificate verification failed|\b407\b|redirects followed",
    re.IGNORECASE,
)
"""What another attempt would not mend."""


def run(command: list[str], text: str = "", **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run a command without a terminal to ask at."""
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8", **variables}
    return subprocess.run(
        command, input=text, env=environment, capture_output=True, text=True, errors="replace", check=False
    )


def shown(source: str) -> str:
    """A source without the password that its URL may hold."""
    return LOGIN.sub("", source)


def without_login(url: str) -> "tuple[str, list[str], dict[str, str]]":
    """A URL for git's command line, and the options and variables that give the login that it held."""
    login = LOGIN.search(url) if url.lower().startswith(("http://", "https://")) else None
    if not login:
        return url, [], {}
    plain = LOGIN.sub("", url, count=1)
    user, _, password = login[0][:-1].partition(":")
    server = "://".join(urlsplit(plain)[:2])
    options = ["-c", "credential.helper=", "-c", f"credential.{server}.helper={HELPER}"]
    return plain, options, {"GIT_LOGIN_USER": unquote(user), "GIT_LOGIN_PASSWORD": unquote(password)}


def first_complaint(words: str) -> str:
    """What git says first of a failure; of a failed ssh, what ssh said."""
    lines = [line.strip() for line in words.splitlines() if line.strip() and not line.startswith("Warning: ")]
    found = next((number for number, line in enumerate(lines) if line.startswith(("fatal: ", "error: "))), None)
    if found is None:
        return lines[-1] if lines else ""
    if found and re.match("fatal: Could not read from remote|fatal: the remote end hung up", lines[found], re.I):
        return lines[found - 1]
    return lines[found]


def silence(folder: str, url: str) -> str:
    """Say of the server (or proxy) that git, in a repository, asks for a URL that it takes no connection; else ""."""
    try:
        host, port = _asked(folder, run(["git", "-C", folder, "ls-remote", "--get-url", url]).stdout.strip())
        asyncio.run(_connect(host, port))
    except asyncio.TimeoutError:
        return f"{host}:{port} takes no connection within {CONNECTING} s"
    except (OSError, ValueError, KeyError):
        pass  # Git says it better; of what is not HTTP, too.
    return ""


def _asked(folder: str, url: str) -> "tuple[str, int]":
    """Host and port that git connects to. Raises KeyError for what is not HTTP, ValueError for no URL."""
    parts = urlsplit(url)
    port = parts.port or PORTS[parts.scheme]
    proxy = run(["git", "-C", folder, "config", "--get-urlmatch", "http.proxy", url]).stdout
    if not proxy and not proxy_bypass(parts.hostname or ""):
        proxies = getproxies()
        proxy = proxies.get(parts.scheme) or proxies.get("all", "")
    if proxy.strip():
        named = urlsplit(proxy.strip() if "://" in proxy else f"http://{proxy.strip()}")
        return named.hostname or "", named.port or 1080  # https://curl.se/docs/manpage.html#-x
    return parts.hostname or "", port


async def _connect(host: str, port: int) -> None:
    """Connect, and hang up. Raises OSError, asyncio.TimeoutError."""
    connecting = asyncio.open_connection(host, port, happy_eyeballs_delay=0.25)
    _, writer = await asyncio.wait_for(connecting, CONNECTING)
    writer.close()
