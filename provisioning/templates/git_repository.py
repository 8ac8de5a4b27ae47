"""One git repository of this host, and git's words about it: what can pass, and what another attempt would not mend."""

import errno
import os
import re
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from provisioning.templates.download_records import OURS
    from provisioning.templates.download_sources import Transient, Unavailable
    from provisioning.templates.git_client import REFUSED, first_complaint, shown, without_login
else:
    from download_records import OURS
    from download_sources import Transient, Unavailable
    from git_client import REFUSED, first_complaint, shown, without_login

MISSING = re.compile(r"couldn't find remote ref|not our ref|unadvertised object|bad object")
RETRIES = "lfs.transfer.maxretries=1"
"""It is our policy that tries again: https://github.com/git-lfs/git-lfs/blob/main/docs/man/git-lfs-config.adoc"""


class Repository:
    """A folder with a repository, and its remote with a token."""

    def __init__(self, folder: str, url: str, token: str) -> None:
        self.folder, self.shown = folder, shown(url)
        self.git_folder = os.path.join(folder, ".git")
        login = f"oauth2:{quote(token, safe='')}@" if token and not url.startswith("file:") else ""
        self.url, options, variables = without_login(re.sub("(?<=://)", login, url, count=1) if login else url)
        pairs = [option.partition("=") for option in (*options[1::2], RETRIES)]
        # No terminal to ask at, no weights by git itself, and the login, which git-lfs takes from git.
        self.environment = {
            **os.environ,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_LFS_SKIP_SMUDGE": "1",
            "LC_ALL": "C.UTF-8",
            "GIT_CONFIG_COUNT": str(len(pairs)),
            **{f"GIT_CONFIG_KEY_{number}": key for number, (key, _, _) in enumerate(pairs)},
            **{f"GIT_CONFIG_VALUE_{number}": value for number, (_, _, value) in enumerate(pairs)},
            **variables,
        }
        self._trace = os.path.join(folder, OURS, "trace")

    def git(self, *arguments: str, text: bytes = b"") -> bytes:
        """Run git, and give its output. Raises `Unavailable`, for a fetch `Transient`, or OSError for a full disk."""
        fetches = "fetch" in arguments
        # What a server asks for is in its headers alone. Git writes logins into no trace.
        trace = {"GIT_TRACE_CURL": self._trace, "GIT_TRACE_CURL_NO_DATA": "1"} if fetches else {}
        done = self.run(["git", *arguments], text, **trace)
        wait = self._asked_wait() if fetches else 0
        if not done.returncode:
            return done.stdout
        words = done.stderr.decode(errors="replace")
        if "No space left" in words:
            raise OSError(errno.ENOSPC, "No space left on device")
        said = shown(first_complaint(words)) or f"git ended with {done.returncode}"
        if not fetches or REFUSED.search(words) or MISSING.search(words):
            raise Unavailable(said)
        raise Transient(said, wait)

    def tried(self, *arguments: str) -> str:
        """Run git, and give its output, whatever comes of it."""
        return self.run(["git", *arguments]).stdout.decode(errors="replace")

    def run(self, command: list[str], text: bytes = b"", **variables: str) -> "subprocess.CompletedProcess[bytes]":
        """Run a command in the repository."""
        environment = {**self.environment, **variables}
        return subprocess.run(command, cwd=self.folder, input=text, env=environment, capture_output=True, check=False)

    def _asked_wait(self) -> float:
        """Seconds that the server asked to wait (Retry-After); 0 where it did not."""
        try:
            with open(self._trace, errors="replace") as file:
                asked = re.findall(r"Recv header: retry-after: (\d+)", file.read(), re.IGNORECASE)
            os.unlink(self._trace)
        except FileNotFoundError:
            return 0
        return float(asked[-1]) if asked else 0
