"""HTTP as all methods use it: questions to a server, and files side by side, each going on where it was stopped.

A file is hashed as it comes, and lies under its name when it was proven.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from time import time
from typing import TYPE_CHECKING, Any

import requests
import urllib3

if TYPE_CHECKING:
    from provisioning.templates.download_records import OURS, git_blob_of
    from provisioning.templates.download_retry import ATTEMPTS, persevering
    from provisioning.templates.download_sources import Transient, Unavailable, Wanted, say
    from provisioning.templates.git_client import shown
else:
    from download_records import OURS, git_blob_of
    from download_retry import ATTEMPTS, persevering
    from download_sources import Transient, Unavailable, Wanted, say
    from git_client import shown

CONNECTIONS = 8
"""Files at once."""
TIMEOUT = (15, 60)
"""Seconds to connect, and without a byte."""
BLOCK = 1 << 20
CORRUPT = 3
"""How often a file may come with wrong bytes."""


class Web:
    """A session with a server, and a token for it. Proxies and certificates are those of the environment."""

    def __init__(self, token: str = "", attempts: int = ATTEMPTS) -> None:
        self._attempts = attempts
        self._session = requests.Session()
        self._session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=CONNECTIONS))
        self._session.mount("https://", requests.adapters.HTTPAdapter(pool_maxsize=CONNECTIONS))
        if token:
            self._session.headers["Authorization"] = f"Bearer {token}"

    @contextmanager
    def get(self, url: str, **options: Any) -> Iterator[requests.Response]:
        """Ask once. Raises `Transient` for what waiting can mend; every other answer is the caller's to judge."""
        with _failures():
            answer = self._session.get(url, timeout=TIMEOUT, **options)
            with answer:
                if answer.status_code >= 500 or answer.status_code in (408, 429):
                    raise Transient(_words(answer), _retry_after(answer))
                yield answer

    def ask(self, url: str, what: str, **parameters: str) -> "tuple[requests.Response, Any]":
        """Ask for JSON, until there is an answer; None where it is something else. Raises `Unavailable`."""
        return persevering(what, attempts=self._attempts)(self._ask, url, parameters)

    def _ask(self, url: str, parameters: dict[str, str]) -> "tuple[requests.Response, Any]":
        with self.get(url, params=parameters) as answer:
            content = None
            if "json" in answer.headers.get("Content-Type", "") or answer.content[:1] in (b"{", b"["):
                content = answer.json()
            elif answer.ok:
                raise Transient(f"{shown(url)} answers with something else than JSON: {_words(answer)}")
            return answer, content

    def length(self, url: str) -> int:
        """Bytes of what lies there, or -1."""
        try:
            answer = self._session.head(url, timeout=TIMEOUT, allow_redirects=True, headers={"Accept-Encoding": ""})
            return int(answer.headers["Content-Length"]) if answer.ok else -1
        except (requests.RequestException, KeyError, ValueError):
            return -1


@contextmanager
def _failures() -> Iterator[None]:
    """Turn what goes wrong on the line into `Transient`, and what is wrong with the URL or certificates into words."""
    try:
        yield
    except requests.exceptions.SSLError as error:
        raise Unavailable(f"its certificate is not trusted: {_innermost(error)}") from error
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
        raise Unavailable(shown(str(error))) from error
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise Transient(_innermost(error)) from error


def _innermost(error: BaseException) -> str:
    """What was said first, which says most."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return shown(str(getattr(error, "strerror", "") or error)) or type(error).__name__


def _words(answer: requests.Response) -> str:
    """The status, and the server's own words."""
    try:
        text = next(answer.iter_content(2000), b"").decode(errors="replace")
    except requests.RequestException:
        text = ""
    said = " ".join(re.sub(r"<(style|script).*?</\1>|<[^>]*>", " ", text, flags=re.DOTALL).split())[:200]
    return f"HTTP {answer.status_code} {answer.reason or ''}".strip() + (f": {said}" if said else "")


def _retry_after(answer: requests.Response) -> float:
    """Seconds that the server asks to wait: https://www.rfc-editor.org/rfc/rfc9110#name-retry-after."""
    asked = answer.headers.get("Retry-After", "")
    if asked.isdecimal():
        return float(asked)
    try:
        return max(0.0, parsedate_to_datetime(asked).timestamp() - time())
    except ValueError:
        return 0


class Files:
    """Brings files into a folder. `advise` says what to do about a refusal (401, 403, 404) of a file."""

    def __init__(self, folder: str, web: Web, advise: Callable[[requests.Response], str] = lambda _: "") -> None:
        self._parts = os.path.join(folder, OURS, "parts")
        self._folder, self._web, self._advise = folder, web, advise
        self.here: dict[str, int] = {}
        """Bytes of each file that are here."""
        self.proven: dict[str, str] = {}

    def fetch(self, files: "dict[str, Wanted]") -> None:
        """Bring these, each as often as it takes. Raises `Unavailable`, or OSError."""
        os.makedirs(self._parts, exist_ok=True)
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            working = [pool.submit(self._one, name, wanted) for name, wanted in files.items()]
            try:
                for each in working:
                    each.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _one(self, name: str, wanted: "Wanted") -> None:
        identity = f"{name}\0{wanted.sha256 or wanted.git_blob or shown(wanted.url)}"
        part = os.path.join(self._parts, hashlib.sha256(os.fsencode(identity)).hexdigest()[:24])
        for _ in range(CORRUPT):
            download = _Download(part, wanted, self._web, lambda had: self.here.__setitem__(name, had), self._advise)
            persevering(name, lambda: self.here.get(name, 0))(download.go_on)
            if not (wrong := download.wrong()):
                target = os.path.join(self._folder, name)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                os.replace(part, target)
                self.proven[name] = download.sha256
                return
            say(f"{name}: {wrong}; fetching it again")
            os.unlink(part)
        raise Unavailable(f"{name}: {wrong}, {CORRUPT} times")


class _Download:
    """One file, from wherever it was stopped to its end."""

    def __init__(
        self,
        part: str,
        wanted: "Wanted",
        web: Web,
        tell: Callable[[int], None],
        advise: Callable[[requests.Response], str],
    ) -> None:
        self._part, self._wanted, self._web, self._tell, self._advise = part, wanted, web, tell, advise
        self._digest = hashlib.sha256()
        self._had = 0
        with open(part, "ab+") as file:
            file.seek(0)
            while block := file.read(BLOCK):
                self._take(block)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def wrong(self) -> str:
        """What is wrong with what came, or ""."""
        if self._wanted.sha256 not in ("", self.sha256):
            return f"it came with SHA-256 {self.sha256}, and {self._wanted.sha256} is right"
        if self._wanted.git_blob and (came := git_blob_of(self._part)) != self._wanted.git_blob:
            return f"it came as git's blob {came}, and {self._wanted.git_blob} is right"
        return ""

    def go_on(self) -> None:
        """Ask for the rest. Raises `Transient`, `Unavailable`, OSError."""
        if self._wanted.size != -1 and self._had > self._wanted.size:
            self._start_over()
        if self._had == self._wanted.size:
            return
        # Sizes and hashes are those of the file itself, so it is not to come compressed.
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={self._had}-"} if self._had else {})}
        with self._web.get(self._wanted.url, stream=True, headers=headers) as answer:
            self._judge(answer)
            with open(self._part, "ab") as file:
                # As it comes, not in whole blocks: what came before a cut is kept.
                while block := answer.raw.read1(BLOCK):
                    file.write(block)
                    self._take(block)
        if self._wanted.size not in (-1, self._had):
            raise Transient(f"the connection ended at {self._had} of {self._wanted.size} bytes")

    def _judge(self, answer: requests.Response) -> None:
        """Let pass the answer that has what is asked for."""
        if answer.status_code == 416:
            self._start_over()
            raise Transient("the server does not go on where the file was stopped (416)")
        if not answer.ok:
            raise Unavailable(f"{_words(answer)}{self._advise(answer)}")
        if answer.status_code != 206 and self._had:
            say("the server does not go on where the file was stopped: from the start")
            self._start_over()
        elif self._had and not answer.headers.get("Content-Range", "").startswith(f"bytes {self._had}-"):
            raise Transient(f"the server sends another part than asked for: {answer.headers.get('Content-Range')}")
        length = answer.headers.get("Content-Length", "")
        if self._wanted.size != -1 and length.isdecimal() and int(length) != self._wanted.size - self._had:
            raise Transient(f"the server sends another file, of {length} bytes: {_words(answer)}")

    def _take(self, block: bytes) -> None:
        self._digest.update(block)
        self._had += len(block)
        self._tell(self._had)

    def _start_over(self) -> None:
        open(self._part, "wb").close()
        self._digest, self._had = hashlib.sha256(), 0
