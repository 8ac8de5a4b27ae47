"""git and git-lfs, without a terminal to ask at: logins that no command line shows, and what their complaints mean."""

import os
import re
import shutil
import subprocess
from urllib.parse import unquote, urlsplit

LOGIN = re.compile(r"(?<=//)[^/?#\s]+@")
"""All that stands before a URL's host; a password may hold a raw @."""

TIED = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
"""How a program is run that is to end with us, however we end."""

SLOW = ("-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=60")
"""A connection below a kilobyte a second for a minute is a dead one."""

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
