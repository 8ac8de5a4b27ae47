"""Models of a server that speaks Hugging Face's protocol: https://huggingface.co/docs/hub/api."""

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    import requests

    from provisioning.templates.download_http import Files
    from provisioning.templates.download_sources import Listing, Unavailable, Wanted, close_names, names_instead
    from provisioning.templates.download_web import Web
    from provisioning.templates.git_client import shown
else:
    from download_http import Files
    from download_sources import Listing, Unavailable, Wanted, close_names, names_instead
    from download_web import Web
    from git_client import shown


class HuggingFace:
    """One model of a server."""

    def __init__(self, config: dict[str, Any], folder: str) -> None:
        self._endpoint, self._id = config["endpoint"].rstrip("/"), config["id"]
        self._revision, self._setting = config["revision"] or "main", config["setting"]
        self._has_token = bool(config["token"])
        self._web = Web(config["token"], config["attempts"])
        self._files = Files(folder, self._web, self._advise)
        self.shown = f"{shown(self._endpoint)}/{self._id}"
        self.proven = self._files.proven
        self.partial = self._files.here.copy
        self.fetch = self._files.fetch

    def listing(self) -> "Listing":
        """Ask for the commit and its files, with their sizes and hashes."""
        url = f"{self._endpoint}/api/models/{self._id}/revision/{quote(self._revision, safe='')}"
        answer, found = self._web.ask(url, self.shown, blobs="true")
        if not answer.ok or not isinstance(found, dict) or "siblings" not in found:
            raise Unavailable(self._refusal(answer))
        base = f"{self._endpoint}/{self._id}/resolve/{found['sha']}"
        files = {each["rfilename"]: _wanted(each, base) for each in found["siblings"]}
        return Listing(found["sha"], files)

    def _refusal(self, answer: "requests.Response") -> str:
        code, words = answer.headers.get("X-Error-Code", ""), answer.headers.get("X-Error-Message", "")
        if code == "RevisionNotFound":
            return f"{self._id} has no revision {self._revision}{self._close_revisions()}"
        if advice := self._advise(answer):
            return f"{self._id} cannot be had{advice}"
        if code == "RepoNotFound" or answer.status_code in (401, 404):
            private = (
                "it is private and the token does not open it"
                if self._has_token
                else (f"it is private and wants a token ({self._setting}/token)")
            )
            return f"there is no model {self._id}, or {private}{self._close_models()}"
        return f"HTTP {answer.status_code} {words or answer.reason}"

    def _advise(self, answer: "requests.Response") -> str:
        """What to do about a gated model, or a token that is refused."""
        gated = answer.headers.get("X-Error-Code") == "GatedRepo"
        if gated or answer.status_code == 403:
            return f": it is gated. Ask for access at {self.shown}, and name your token in {self._setting}/token"
        return ""

    def _close_models(self) -> str:
        owner, _, name = self._id.rpartition("/")
        url = f"{self._endpoint}/api/models"
        return close_names(self._id, self._ids(url, search=name) + self._ids(url, author=owner))

    def _ids(self, url: str, **parameters: str) -> list[str]:
        try:
            _, found = self._web.ask(url, self.shown, limit="50", **parameters)
        except Unavailable:
            return []
        return [each["id"] for each in found or [] if isinstance(each, dict) and "id" in each]

    def _close_revisions(self) -> str:
        try:
            _, found = self._web.ask(f"{self._endpoint}/api/models/{self._id}/refs", self.shown)
        except Unavailable:
            return ""
        known = [each["name"] for kind in ("branches", "tags") for each in (found or {}).get(kind, [])]
        return names_instead(self._revision, known)


def _wanted(sibling: dict[str, Any], base: str) -> "Wanted":
    url, lfs = f"{base}/{quote(sibling['rfilename'])}", sibling.get("lfs")
    if lfs:
        return Wanted(lfs["size"], sha256=lfs["sha256"], url=url)
    return Wanted(sibling["size"], git_blob=sibling["blobId"], url=url)
