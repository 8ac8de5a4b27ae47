"""Models of ModelScope, brought by its own package: by its SDK, or by its command line.

What there is to bring is asked of the server's API; the package brings what is missing, and goes on where it was
stopped. The API's answers are as modelscope_hub's _legacy_api.py reads them; every refusal is a 404 with a Code.
"""

import glob
import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import requests

    from provisioning.templates import modelscope_package
    from provisioning.templates.download_retry import persevering
    from provisioning.templates.download_sources import (
        Listing,
        Transient,
        Unavailable,
        Wanted,
        close_names,
        names_instead,
    )
    from provisioning.templates.download_web import Web
    from provisioning.templates.git_client import shown
else:
    import modelscope_package
    from download_retry import persevering
    from download_sources import Listing, Transient, Unavailable, Wanted, close_names, names_instead
    from download_web import Web
    from git_client import shown

LONGEST = 3000
"""Entries at which a listing ends, without a word."""
TOGETHER = 200
"""Files named in one call of the package: it compares each with each of the model's."""
NO_REVISION, NO_ACCESS = 10990101004, 10010200001
"""Codes of the API: there is no such revision; the model is private or gated."""
BUSY = re.compile(r"\bError \d{4}\b")
"""What its database says when there is too much to do, in an answer that else means that there is no such model."""
SDK = "import json, sys, modelscope; modelscope.snapshot_download(**json.load(sys.stdin))"


class ModelScope:
    """One model of a server. A subclass says how the package is called."""

    def __init__(self, config: dict[str, Any], folder: str) -> None:
        self._endpoint, self._id, self._folder = config["endpoint"].rstrip("/"), config["id"], folder
        self._revision, self._setting, self._token = config["revision"], config["setting"], config["token"]
        self._attempts = config["attempts"]
        self._web = Web(self._token, self._attempts)
        self._commit = ""
        self._files: dict[str, Wanted] = {}
        self.shown = f"{shown(self._endpoint)}/models/{self._id}"
        self.proven: dict[str, str] = {}

    def listing(self) -> "Listing":
        """Ask for the commit and its files, with their sizes and hashes."""
        self._commit = self._find_commit()
        self._files = {
            each["Path"]: Wanted(int(each["Size"]), sha256=(each.get("Sha256") or "").lower())
            for each in self._entries()
        }
        if not self._files:
            raise Unavailable(self._no_revision())
        return Listing(self._commit, self._files)

    def fetch(self, files: "dict[str, Wanted]") -> None:
        """Let the package bring these files."""
        for name in files:
            # It is not what is wanted. The package would hash it to see that, and its bytes would count as progress.
            with suppress(FileNotFoundError):
                os.unlink(os.path.join(self._folder, name))
        names = sorted(files)
        for start in range(0, len(names), TOGETHER):
            patterns = [pattern(name) for name in names[start : start + TOGETHER]]
            persevering(self.shown, lambda: sum(self.partial().values()))(self._call, patterns)
        # The package, whose version is pinned, ends well only if each file has the SHA-256 that the API tells.
        here = self.partial()
        self.proven |= {
            name: each.sha256 for name, each in files.items() if each.sha256 and here.get(name) == each.size
        }

    def partial(self) -> dict[str, int]:
        """Bytes of each file that are here, whole or in part."""
        found = {}
        for name in self._files:
            for path in (name, f"{name}.incomplete"):
                with suppress(FileNotFoundError):
                    found[name] = os.path.getsize(os.path.join(self._folder, path))
                    break
        return found

    def _call(self, patterns: list[str]) -> None:
        """Call the package once. Raises `Transient`, `Unavailable`, OSError."""
        raise NotImplementedError

    def _find_commit(self) -> str:
        if re.fullmatch(r"[0-9a-f]{40}", self._revision):
            return str(self._revision)
        found = self._ask("/commits", Ref=self._revision or "master", PageNumber="1", PageSize="1").get("Commit")
        if not found:
            raise Unavailable(self._no_revision())
        return str(found[0]["Id"])

    def _entries(self, **root: str) -> Iterator[dict[str, Any]]:
        """The files below a folder: by one question, unless the answer is so long that it was cut."""
        found = self._ask("/repo/files", Revision=self._commit, Recursive="true", **root).get("Files") or []
        if len(found) < LONGEST:
            yield from (each for each in found if each["Type"] != "tree")
            return
        direct = self._ask("/repo/files", Revision=self._commit, Recursive="false", **root).get("Files") or []
        if len(direct) >= LONGEST:
            folder = root.get("Root", "its own folder")
            raise Unavailable(f"{folder} has more files than the server lists ({LONGEST}): take method git")
        for each in direct:
            if each["Type"] == "tree":
                yield from self._entries(Root=each["Path"])
            else:
                yield each

    def _ask(self, path: str, **parameters: str) -> dict[str, Any]:
        return persevering(self.shown, attempts=self._attempts)(self._ask_once, path, parameters)

    def _ask_once(self, path: str, parameters: dict[str, str]) -> dict[str, Any]:
        answer, found = self._web.ask(f"{self._endpoint}/api/v1/models/{self._id}{path}", self.shown, **parameters)
        if not answer.ok or not isinstance(found, dict) or not isinstance(found.get("Data"), dict):
            raise Unavailable(self._refusal(answer, found if isinstance(found, dict) else {}))
        return dict(found["Data"])

    def _refusal(self, answer: "requests.Response", found: dict[str, Any]) -> str:
        code, said = found.get("Code"), found.get("Message") or answer.reason
        if BUSY.search(said):
            raise Transient(said)
        if code == NO_REVISION:
            return self._no_revision()
        if code == NO_ACCESS or answer.status_code in (401, 403):
            how = "the token does not open it" if self._token else f"name a token in {self._setting}/token"
            return f"{self._id} is private or gated: {how} (HTTP {answer.status_code}, {said})"
        if answer.status_code == 404:
            return f"there is no model {self._id} at {shown(self._endpoint)} ({said}){self.close_models()}"
        return f"HTTP {answer.status_code} {said}"

    def _no_revision(self) -> str:
        known: list[str] = []
        with suppress(Unavailable):
            found = self._ask("/revisions").get("RevisionMap") or {}
            known = [each["Revision"] for kind in ("Branches", "Tags") for each in found.get(kind) or []]
        wanted = self._revision or "master"
        return f"{self._id} has no revision {wanted}{names_instead(wanted, known)}"

    def close_models(self) -> str:
        """Names like the one that is not there."""
        owner, _, name = self._id.rpartition("/")
        known: list[str] = []
        for words in (name, owner):
            with suppress(Unavailable):
                _, found = self._web.ask(
                    f"{self._endpoint}/openapi/v1/models", self.shown, search=words, page_size="50"
                )
                models = ((found or {}).get("data") or {}).get("models") or []
                known += [each["id"] for each in models if "id" in each]
        return close_names(self._id, known)


class Sdk(ModelScope):
    """By `modelscope.snapshot_download`."""

    def _call(self, patterns: list[str]) -> None:
        told = {"model_id": self._id, "revision": self._commit, "local_dir": self._folder, "allow_patterns": patterns}
        modelscope_package.run("python", ["-I", "-c", SDK], self._endpoint, self._token, json.dumps(told))


class Cli(ModelScope):
    """By `modelscope download`."""

    def _call(self, patterns: list[str]) -> None:
        told = ["--model", self._id, "--revision", self._commit, "--local_dir", self._folder]
        chosen = [f"--include={each}" for each in patterns]
        modelscope_package.run("modelscope", ["download", *told, *chosen], self._endpoint, self._token)


def pattern(name: str) -> str:
    """The pattern that a file's name fits. The package ends one at a comma, and takes no blank at either end of it."""
    return re.sub(r",|^\s+|\s+$", lambda odd: "?" * len(odd[0]), glob.escape(name))
