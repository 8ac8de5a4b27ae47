"""Gets a source tree from the first of several sources that has it: the package index, git, a tarball, a folder.

Everything is safe to repeat after being cut off anywhere: downloads resume, and a tree appears whole or not at all.
"""

import os
import re
import shutil
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from provisioning.templates.compile_download import ATTEMPTS, Unavailable, last_line, run, say, shown, unpacked
else:
    from compile_download import ATTEMPTS, Unavailable, last_line, run, say, shown, unpacked


def first(sources: list[str], folder: str, what: str, tag: str) -> tuple[str, str]:
    """The tree of the first source that can be had, and what it is (a commit, a hash). Exits where none can."""
    refused = []
    for source in sources:
        try:
            return tree(source, folder, what, tag)
        except Unavailable as error:
            refused.append(f"{shown(source)}: {error}")
            say(f"{what}: {refused[-1]}")
    raise SystemExit(f"{what} cannot be had from any source:\n  " + "\n  ".join(refused))


def tree(source: str, folder: str, what: str, tag: str) -> tuple[str, str]:
    """The tree of one source. Raises `Unavailable`."""
    if source == "sdist":
        url, sha256 = sdist(what, tag.removeprefix("v"))
        return unpacked(url, sha256, folder, f"{what} {tag}")
    if "{tag}" in source or re.search(r"\.(tar\.\w+|tgz)$", urlsplit(source).path):
        url = source.replace("{tag}", tag).replace("{version}", tag.removeprefix("v"))
        return unpacked(url, "", folder, f"{what} {tag}")
    if source.startswith(("/", "~")):
        return local(os.path.expanduser(source))
    return cloned(source, folder, tag)


def sdist(project: str, version: str) -> tuple[str, str]:
    """The URL and the SHA-256 of a source distribution, from where pip looks: uv's variables say where that is."""
    from unearth import PackageFinder  # of the environment of our tools, which runs this

    found = os.environ.get
    indexes = [] if found("UV_NO_INDEX") else [found("UV_DEFAULT_INDEX") or "https://pypi.org/simple/"]
    finder = PackageFinder(
        index_urls=[*indexes, *found("UV_INDEX", "").split()],
        find_links=[place for place in found("UV_FIND_LINKS", "").split(",") if place],
        trusted_hosts=found("UV_INSECURE_HOST", "").split(),
        no_binary=[project],
    )
    try:
        best = finder.find_best_match(f"{project}=={version}").best
    except Exception as error:
        raise Unavailable(f"the package index cannot be asked: {error}") from error
    if best is None:
        raise Unavailable(f"the package index has no source of {project} {version}")
    return str(best.link.normalized), (best.link.hashes or {}).get("sha256", "")


def cloned(url: str, folder: str, tag: str) -> tuple[str, str]:
    """Fetch one tag or commit with git, shallow where the server lets us. Raises `Unavailable`."""
    name = re.sub(r"[^A-Za-z0-9.-]+", "-", f"{shown(url).partition('://')[2] or url}-{tag}")
    target = os.path.join(folder, f"{name}.git")
    commit = run(["git", "-C", target, "rev-parse", "--verify", "-q", "refs/provisioning/complete"])
    if commit.returncode:
        shutil.rmtree(target, ignore_errors=True)
        os.makedirs(target)
        _git(target, "init", "-q")
        say(f"git: fetching {tag} of {shown(url)}")
        _fetch(target, url, tag)
        _git(target, "checkout", "-q", "--detach", "FETCH_HEAD")
        _git(target, "update-ref", "refs/provisioning/complete", "HEAD")
    return target, _git(target, "rev-parse", "HEAD").strip()


def _fetch(target: str, url: str, tag: str) -> None:
    for failures in range(1, ATTEMPTS + 1):
        try:
            _git(target, *SLOW, "fetch", "-q", "--no-tags", "--depth", "1", url, tag)
            return
        except Unavailable as error:
            lacks = re.search(r"couldn't find remote ref|not our ref|unadvertised object", str(error))
            if lacks and re.fullmatch(r"[0-9a-f]{7,40}", tag):
                # Some servers give a commit only with all that leads to it.
                _git(target, *SLOW, "fetch", "-q", "--tags", url, "+refs/heads/*:refs/remotes/origin/*")
                _git(target, "fetch", "-q", ".", _git(target, "rev-parse", "--verify", f"{tag}^{{commit}}").strip())
                return
            final = lacks or re.search(r"(?i)not found|authentication|could not read Username|403|404", str(error))
            if final or failures == ATTEMPTS:
                raise
            say(f"git: {error}; trying again")
            time.sleep(min(2**failures, 30))


SLOW = ("-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=60")
"""A connection below a kilobyte a second for a minute is a dead one."""


def _git(target: str, *arguments: str) -> str:
    done = run(["git", "-C", target, *arguments])
    if done.returncode:
        raise Unavailable(shown(last_line(done)))
    return done.stdout


def local(folder: str) -> tuple[str, str]:
    """A folder of this host, used where it lies; its commit, or the hash of names, sizes and times."""
    if not os.path.isdir(folder):
        raise Unavailable("there is no such folder")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise Unavailable("the account that serves may not read it")
    return folder, state_of(folder)


def state_of(folder: str) -> str:
    """What identifies a folder's content without reading it."""
    here = os.path.dirname(os.path.abspath(__file__))
    return run(["sh", os.path.join(here, "tree_state.sh"), folder]).stdout.strip()
