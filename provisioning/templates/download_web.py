"""Questions to servers by HTTP, and what their answers and failures mean."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import requests
import urllib3

if TYPE_CHECKING:
    from provisioning.templates.download_retry import ATTEMPTS, persevering, retry_after
    from provisioning.templates.download_sources import Transient, Unavailable
    from provisioning.templates.git_client import shown
else:
    from download_retry import ATTEMPTS, persevering, retry_after
    from download_sources import Transient, Unavailable
    from git_client import shown

CONNECTIONS = 8
"""Files at once."""
TIMEOUT = (15, 60)
"""Seconds to connect, and without a byte."""


class Web:
    """A session with a server, and a token for it. Proxies and certificates are those of the environment."""

    def __init__(self, token: str = "", attempts: int = ATTEMPTS) -> None:
        self._attempts = attempts
        self._session = requests.Session()
        self._session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=CONNECTIONS))
        self._session.mount("https://", requests.adapters.HTTPAdapter(pool_maxsize=CONNECTIONS))
        if token:
            self._session.auth = _Bearer(token)

    @contextmanager
    def get(self, url: str, **options: Any) -> Iterator[requests.Response]:
        """Ask once. Raises `Transient` for what waiting can mend; every other answer is the caller's to judge."""
        with _failures():
            answer = self._session.get(url, timeout=TIMEOUT, **options)
            with answer:
                if answer.status_code >= 500 or answer.status_code in (408, 429):
                    raise Transient(words(answer), retry_after(answer.headers.get("Retry-After", "")))
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
                raise Transient(f"{shown(url)} answers with something else than JSON: {words(answer)}")
            return answer, content

    def length(self, url: str) -> int:
        """Bytes of what lies there, or -1."""
        try:
            answer = self._session.head(url, timeout=TIMEOUT, allow_redirects=True, headers={"Accept-Encoding": ""})
            # Some say 0 of what they would have to make first.
            return (answer.ok and int(answer.headers["Content-Length"])) or -1
        except (requests.RequestException, KeyError, ValueError):
            return -1


class _Bearer(requests.auth.AuthBase):
    """A token. As a mere header, a login in the account's ~/.netrc would take its place."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


@contextmanager
def _failures() -> Iterator[None]:
    """Turn what goes wrong on the line into `Transient`, and what is wrong with the URL or certificates into words."""
    try:
        yield
    except requests.exceptions.SSLError as error:
        raise Unavailable(f"its certificate is not trusted: {_innermost(error)}") from error
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.TooManyRedirects) as error:
        raise Unavailable(shown(str(error))) from error
    except requests.exceptions.ProxyError as error:
        said = _innermost(error)
        raise (Unavailable if " 407 " in said else Transient)(said) from error
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise Transient(_innermost(error)) from error


def _innermost(error: BaseException) -> str:
    """What was said first, which says most."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return shown(str(getattr(error, "strerror", "") or error)) or type(error).__name__


def words(answer: requests.Response) -> str:
    """The status, and the server's own words."""
    try:
        text = next(answer.iter_content(2000), b"").decode(errors="replace")
    except requests.RequestException:
        text = ""
    said = " ".join(re.sub(r"<(style|script).*?</\1>|<[^>]*>", " ", text, flags=re.DOTALL).split())[:200]
    return f"HTTP {answer.status_code} {answer.reason or ''}".strip() + (f": {said}" if said else "")
