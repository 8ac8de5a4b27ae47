"""Brings a model's files into its folder from the first source that has them, and proves each by its SHA-256.

Called with the path of a JSON file that says everything, and that is deleted once it is read: it may hold a token.
With `-` that comes on standard input.
Everything is safe to repeat after being cut off anywhere, and nothing that is here is fetched again.
"""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from provisioning.templates.download_copy import Copied
    from provisioning.templates.download_folder import alone, explained, require_room
    from provisioning.templates.download_git import Git
    from provisioning.templates.download_http import CORRUPT
    from provisioning.templates.download_huggingface import HuggingFace
    from provisioning.templates.download_modelscope import Cli, Sdk
    from provisioning.templates.download_progress import Progress
    from provisioning.templates.download_records import (
        OURS,
        forget,
        former,
        in_the_way,
        load,
        recorded,
        remove,
        save,
    )
    from provisioning.templates.download_retry import ATTEMPTS
    from provisioning.templates.download_sources import Source, Unavailable, Wanted, chosen, listed, safe, say
    from provisioning.templates.download_throttle import throttled
    from provisioning.templates.download_url import Urls
    from provisioning.templates.download_verify import faults, here, mismatch, proven, stands
    from provisioning.templates.git_lfs import drop
else:
    from download_copy import Copied
    from download_folder import alone, explained, require_room
    from download_git import Git
    from download_http import CORRUPT
    from download_huggingface import HuggingFace
    from download_modelscope import Cli, Sdk
    from download_progress import Progress
    from download_records import (
        OURS,
        forget,
        former,
        in_the_way,
        load,
        recorded,
        remove,
        save,
    )
    from download_retry import ATTEMPTS
    from download_sources import Source, Unavailable, Wanted, chosen, listed, safe, say
    from download_throttle import throttled
    from download_url import Urls
    from download_verify import faults, here, mismatch, proven, stands
    from git_lfs import drop

METHODS: dict[str, Any] = {
    "git": Git,
    "sdk": Sdk,
    "cli": Cli,
    "huggingface": HuggingFace,
    "url": Urls,
    "copy": Copied,
}
ATTEMPTS_BEFORE_OTHERS = 3
"""How often a server that does not answer is asked, where there is another to ask."""


def main(path: str) -> None:
    """Bring what the file asks for; `-` is standard input. Exits with words for people where it cannot be had."""
    config = told(path)
    folder = config["folder"]
    try:
        os.makedirs(os.path.join(folder, OURS), exist_ok=True)
        with alone(folder), limited(config["limit_rate"]):
            first(config, folder)
    except OSError as error:
        sys.exit(explained(error, folder))


def told(path: str) -> dict[str, Any]:
    """Everything there is to know. A file is deleted, for it may hold a token."""
    with open(0 if path == "-" else path, encoding="utf-8") as file:
        config: dict[str, Any] = json.load(file)
    if path != "-":
        os.unlink(path)
    return config


@contextmanager
def limited(bytes_per_second: int) -> Iterator[None]:
    """Let every program that downloads go through a proxy which takes no more than this; 0 means no limit."""
    if not bytes_per_second:
        yield
        return
    with throttled(bytes_per_second) as proxy:
        os.environ.update(dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy"), proxy))
        os.environ.update(no_proxy="", NO_PROXY="")
        yield


def first(config: dict[str, Any], folder: str) -> None:
    """Bring the model from the first source that has it; where none does, what was brought before is proven."""
    # By its records a model is proven without a server: none is waited for before that was tried.
    hurried = config["verify"] and load(folder).get("key") == config["key"]
    refused = refusals(config, folder, 1 if hurried else ATTEMPTS)
    if refused and stands(config["key"], folder):
        say(f"warning: {refused}\n  but what was downloaded before is whole: each file was hashed again")
        return
    if refused and hurried:
        refused = refusals(config, folder, ATTEMPTS)
    if refused:
        sys.exit(refused)


def refusals(config: dict[str, Any], folder: str, attempts: int) -> str:
    """Bring the model from the first source that has it, or say why none does; the last is asked so many times."""
    refused = []
    *_, last = config["sources"]
    for place in config["sources"]:
        count = attempts if place is last else min(attempts, ATTEMPTS_BEFORE_OTHERS)
        source = METHODS[place["method"]]({**config, **place, "attempts": count}, folder)
        try:
            bring(source, config, place["method"], folder)
            return ""
        except Unavailable as error:
            refused.append(f"{place['method']} ({source.shown}): {error}")
            if len(config["sources"]) > 1:
                say(f"warning: {refused[-1]}; trying the next method")
    return "\n".join([f"{config['name']} cannot be had:", *(f"  {each}" for each in refused)])


def bring(source: "Source", config: dict[str, Any], method: str, folder: str) -> None:
    """Bring from one source what is not here, prove it, and record it. Raises `Unavailable`."""
    listing = listed(source)
    if odd := next((name for name in listing.files if not safe(name)), None):
        raise Unavailable(f"it names a file outside of the model's folder: {odd!r}")
    files = chosen(listing.files, config["include"], config["exclude"])
    hashes = here(folder, files, trusting=not config["verify"])
    missing = {name: wanted for name, wanted in files.items() if name not in hashes}
    if missing:
        forget(folder)
        remove(folder, in_the_way(former(folder, files), files))
        require_room(folder, missing, source)
        hashes |= fetch(source, missing, folder, len(files))
    remove(folder, former(folder, files))
    drop(folder, recorded(folder) - set(hashes.values()))
    if wrong := list(faults(folder, list(files))):
        raise Unavailable("; ".join(wrong))
    if finish := getattr(source, "finish", None):
        finish(listing.revision, files)
    about = {"key": config["key"], "method": method, "source": source.shown, "id": config["id"]}
    save(folder, {**about, "asked": config["revision"], "revision": listing.revision}, hashes)
    shutil.rmtree(os.path.join(folder, OURS, "parts"), ignore_errors=True)
    size = sum(os.path.getsize(os.path.join(folder, name)) for name in files)
    say(f"{len(files)} files, {size / 1e6:.1f} MB, each proven by its SHA-256; revision {listing.revision}")


def fetch(source: "Source", missing: "dict[str, Wanted]", folder: str, of: int) -> dict[str, str]:
    """Fetch files and prove them: one that comes wrong is fetched again alone."""
    hashes: dict[str, str] = {}
    with Progress(missing, source.partial, of - len(missing), of).told():
        for _ in range(CORRUPT):
            rest = {name: wanted for name, wanted in missing.items() if name not in hashes}
            source.fetch(rest)
            fetched = {name: digest for name, digest in source.proven.items() if name in rest}
            hashes |= fetched | proven(folder, {name: rest[name] for name in rest.keys() - fetched.keys()})
            wrong = sorted(missing.keys() - hashes.keys())
            if not wrong:
                return hashes
            words = [mismatch(folder, name, missing[name]) for name in wrong]
            for name, said in zip(wrong, words, strict=True):
                say(said)
                if os.path.lexists(path := os.path.join(folder, name)):
                    os.unlink(path)
    raise Unavailable(f"{'; '.join(words[:8])} ({CORRUPT} times)")


if __name__ == "__main__":
    main(sys.argv[1])
