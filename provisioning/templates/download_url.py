"""Files of a list of URLs, each with its hash."""

import hashlib
import posixpath
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from provisioning.templates.download_http import Files
    from provisioning.templates.download_sources import Listing, Wanted
    from provisioning.templates.download_web import CONNECTIONS, Web
    from provisioning.templates.git_client import shown
else:
    from download_http import Files
    from download_sources import Listing, Wanted
    from download_web import CONNECTIONS, Web
    from git_client import shown


class Urls:
    """A model whose files are named one by one."""

    def __init__(self, config: dict[str, Any], folder: str) -> None:
        self._named = config["files"]
        self._web = Web(config["token"], config["attempts"])
        self._files = Files(folder, self._web)
        self.shown = shown(posixpath.dirname(self._named[0]["url"]))
        self.proven = self._files.proven
        self.partial = self._files.here.copy
        self.fetch = self._files.fetch

    def listing(self) -> "Listing":
        """The files as they are named; their sizes, where the servers tell them."""
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            lengths = pool.map(self._web.length, [each["url"] for each in self._named])
        files = {
            each["path"]: Wanted(length, sha256=each["sha256"].lower(), url=each["url"])
            for each, length in zip(self._named, lengths, strict=True)
        }
        revision = hashlib.sha256("".join(sorted(each.sha256 for each in files.values())).encode()).hexdigest()
        return Listing(revision, files)
