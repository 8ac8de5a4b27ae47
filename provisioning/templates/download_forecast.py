"""Prints, as JSON, how large a model's download is, given on standard input what the download itself would be told."""

import json
import sys
import tempfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from provisioning.templates.download_model import METHODS
    from provisioning.templates.download_sources import Unavailable, chosen, listed
else:
    from download_model import METHODS
    from download_sources import Unavailable, chosen, listed


def main(config: dict[str, Any]) -> dict[str, Any]:
    """Ask each source, once, until one answers. Exits with the words of the last."""
    said = ""
    for place in config["sources"]:
        with tempfile.TemporaryDirectory() as folder:
            source = METHODS[place["method"]]({**config, **place, "attempts": 1}, folder)
            try:
                listing = listed(source)
                files = chosen(listing.files, config["include"], config["exclude"])
            except Unavailable as error:
                said = str(error)
                continue
            except FileNotFoundError as error:
                said = f"{error.filename} is not installed"
                continue
        size = sum(max(0, each.size) for each in files.values())
        unknown = sum(each.size < 0 for each in files.values())
        return {"size": size, "files": len(files), "unknown": unknown, "revision": listing.revision}
    sys.exit(said)


if __name__ == "__main__":
    # Lines of the download's log are not wanted here.
    told, sys.stdout = sys.stdout, sys.stderr
    print(json.dumps(main(json.load(sys.stdin))), file=told)
