"""One git repository of this host, and git's words about it: what can pass, and what another attempt would not mend."""

import errno
import os
import re
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from provisioning.templates.download_records import OURS
    from provisioning.templates.download_retry import retry_after
    from provisioning.templates.download_sources import Transient, Unavailable
    from provisioning.templates.git_client import REFUSED, TIED, first_complaint, shown, silence, without_login
else:
    from download_records import OURS
    from download_retry import retry_after
    from download_sources import Transient, Unavailable
    from git_client import REFUSED, TIED, first_complaint, shown, silence, without_login

MISSING = re.compile(r"couldn't find remote ref|not our ref|unadvertised object|bad object")
SETTINGS = (
    # It is our policy that tries again.
    ("lfs.transfer.maxretries", "1"),
    # Whatever the account has set for its other repositories.
    ("lfs.skipdownloaderrors", "false"),
    ("fetch.recurseSubmodules", "false"),
)
"""https://github.com/git-lfs/git-lfs/blob/main/docs/man/git-lfs-config.adoc"""
BRANCHES = "+refs/heads/*:refs/remotes/origin/*"


class Repository:
    """A folder with a repository, and its remote with a token."""

    def __init__(self, folder: str, url: str, token: str) -> None:
        self.folder, self.shown = folder, shown(url)
        self.git_folder = os.path.join(folder, ".git")
        login = f"oauth2:{quote(token, safe='')}@" if token and not url.startswith("file:") else ""
        self.url, options, variables = without_login(re.sub("(?<=://)", login, url, count=1) if login else url)
        given = [option.partition("=")[::2] for option in options[1::2]]
        pairs = [*given, *SETTINGS, ("lfs.storage", os.path.join(self.git_folder, "lfs"))]
        # No terminal to ask at, no weights by git itself, and the login, which git-lfs takes from git.
        self.environment = {
            **os.environ,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_LFS_SKIP_SMUDGE": "1",
            "LC_ALL": "C.UTF-8",
            "GIT_CONFIG_COUNT": str(len(pairs)),
            **{f"GIT_CONFIG_KEY_{number}": key for number, (key, _) in enumerate(pairs)},
            **{f"GIT_CONFIG_VALUE_{number}": value for number, (_, value) in enumerate(pairs)},
            **variables,
        }
        self._trace = os.path.join(folder, OURS, "trace")

    def prepare(self) -> None:
        """Make the repository, or take the one that is there, whoever cloned it; mend it where it was cut off.

        Raises `Unavailable` for one of something else: its branch would lead to the model.
        """
        if other := self._of_something_else():
            raise Unavailable(f"{self.folder} is a clone of {other}: name another path for the model")
        if os.path.isdir(self.git_folder) and not self._is_in_use():
            for name in os.listdir(self.git_folder):
                if name.endswith(".lock"):
                    os.unlink(os.path.join(self.git_folder, name))
        self.git("init", "-q")
        self.git("config", "--replace-all", "remote.origin.url", self.url)
        if not self.tried("config", "--local", "--get-all", "remote.origin.fetch"):
            self.git("config", "remote.origin.fetch", BRANCHES)

    def _of_something_else(self) -> str:
        """What a repository is of that has commits, and is neither our work nor a clone of the model from elsewhere."""
        if not os.path.isdir(self.git_folder) or not self.tried("rev-parse", "--quiet", "--verify", "HEAD"):
            return ""
        origin = self.tried("config", "--local", "--get", "remote.origin.url").strip()
        ours = f"/{OURS}/\n" in self._excluded()
        return "" if ours or _name(origin) == _name(self.url) else shown(origin) or "something else"

    def _is_in_use(self) -> bool:
        """Whether a git is at work in the folder: if none is, its locks are those of one that was killed."""
        for process in filter(str.isdecimal, os.listdir("/proc")):
            with suppress(OSError):
                with open(f"/proc/{process}/comm") as file:
                    is_git = file.read() == "git\n"
                if is_git and os.path.samefile(f"/proc/{process}/cwd", self.folder):
                    return True
        return False

    def keep_out(self, name: str) -> None:
        """Let git take no notice of what is not of the repository."""
        if f"/{name}/\n" not in self._excluded():
            os.makedirs(os.path.dirname(self._exclude), exist_ok=True)
            with open(self._exclude, "a") as file:
                file.write(f"/{name}/\n")

    @property
    def _exclude(self) -> str:
        return os.path.join(self.git_folder, "info/exclude")

    def _excluded(self) -> str:
        with suppress(FileNotFoundError), open(self._exclude, errors="surrogateescape") as file:
            return file.read()
        return ""

    def git(self, *arguments: str, text: bytes = b"") -> bytes:
        """Run git, and give its output. Raises `Unavailable`, for a fetch `Transient`, or OSError for a full disk."""
        fetches = "fetch" in arguments
        if "origin" in arguments and fetches and (words := silence(self.folder, self.url)):
            raise Transient(words)
        # What a server asks for is in its headers alone. Git writes logins into no trace.
        trace = {"GIT_TRACE_CURL": self._trace, "GIT_TRACE_CURL_NO_DATA": "1"} if fetches else {}
        done = self.run([*TIED, "git", *arguments], text, **trace)
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
                asked = re.findall(r"Recv header: retry-after: (.*)", file.read(), re.IGNORECASE)
            os.unlink(self._trace)
        except FileNotFoundError:
            return 0
        return retry_after(asked[-1].strip()) if asked else 0


def _name(url: str) -> str:
    return url.rstrip("/").rpartition("/")[2].removesuffix(".git").casefold()
