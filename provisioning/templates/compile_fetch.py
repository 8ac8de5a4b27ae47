"""Gets a source tree from the first of several sources that has it: the package index, git, a tarball, a folder.

Everything is safe to repeat after being cut off anywhere: downloads resume, and a tree appears whole or not at all.
"""

import os
import re
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from provisioning.templates.compile_download import ATTEMPTS, ATTEMPTS_BEFORE_OTHERS, Unavailable, say, unpacked
    from provisioning.templates.git_client import REFUSED, SLOW, first_complaint, run, shown, silence, without_login
else:
    from compile_download import ATTEMPTS, ATTEMPTS_BEFORE_OTHERS, Unavailable, say, unpacked
    from git_client import REFUSED, SLOW, first_complaint, run, shown, silence, without_login

ARCHIVE = re.compile(r"\.(tar(\.\w+)?|tgz)$")


def first(
    sources: list[str],
    folder: str,
    what: str,
    tag: str,
    fits: "Callable[[str, str], None] | None" = None,
    advice: str = "",
) -> tuple[str, str]:
    """The tree of the first source that can be had, and what it is (a commit, a hash). Exits where none can.

    `fits` raises `Unavailable` for a tree that will not do.
    """
    refused = []
    for source in sources:
        attempts = ATTEMPTS if source == sources[-1] else ATTEMPTS_BEFORE_OTHERS
        try:
            found, commit = tree(source, folder, what, tag, attempts)
            if fits:
                fits(found, commit)
            return found, commit
        except Unavailable as error:
            refused.append(shown(f"{source}: {error}"))
            say(f"{what}: {refused[-1]}")
    raise SystemExit("\n  ".join([f"{what} cannot be had from any source:", *refused]) + f"\n{advice}".rstrip())


def tree(source: str, folder: str, what: str, tag: str, attempts: int) -> tuple[str, str]:
    """The tree of one source. Raises `Unavailable`."""
    if source == "sdist":
        url, sha256 = sdist(what, tag.removeprefix("v"))
        return unpacked(url, sha256, folder, f"{what} {tag}", attempts)
    named = source.replace("{tag}", tag).replace("{version}", tag.removeprefix("v"))
    if named.startswith(("/", "~")):
        path = os.path.expanduser(named)
        return unpacked(Path(path).as_uri(), "", folder, f"{what} {tag}") if ARCHIVE.search(path) else local(path)
    if "{tag}" in source or ARCHIVE.search(urlsplit(source).path):
        return unpacked(named, "", folder, f"{what} {tag}", attempts)
    return cloned(source, folder, tag, attempts)


def sdist(project: str, version: str) -> tuple[str, str]:
    """The URL and the SHA-256 of a source distribution, from where pip looks: uv's variables say where that is."""
    from unearth import PackageFinder  # of the environment of our tools, which runs this

    found = os.environ.get
    indexes = [found("UV_DEFAULT_INDEX") or "https://pypi.org/simple/", *found("UV_INDEX", "").split()]
    places = filter(None, found("UV_FIND_LINKS", "").split(","))
    links = [place for place in places if "://" in place or os.path.exists(place)]  # pip passes over what is not there
    if found("UV_NO_INDEX") and not links:  # told of nothing, the finder asks the public index
        raise Unavailable("pip is told to look in no index, and in no folder (pip.index, pip.find_links)")
    finder = PackageFinder(
        index_urls=() if found("UV_NO_INDEX") else indexes,
        find_links=links,
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


def cloned(url: str, folder: str, tag: str, attempts: int) -> tuple[str, str]:
    """Fetch one tag or commit with git, shallow where the server lets us. Raises `Unavailable`."""
    name = re.sub(r"[^A-Za-z0-9.-]+", "-", f"{shown(url).partition('://')[2] or url}-{tag}")
    target = os.path.join(folder, f"{name}.git")
    commit = run(["git", "-C", target, "rev-parse", "--verify", "-q", "refs/provisioning/complete"])
    if commit.returncode:
        shutil.rmtree(target, ignore_errors=True)
        os.makedirs(target)
        _git(target, "init", "-q")
        say(f"git: fetching {tag} of {shown(url)}")
        _fetch(target, url, tag, attempts)
        _git(target, "checkout", "-q", "--detach", "FETCH_HEAD")
        _git(target, "update-ref", "refs/provisioning/complete", "HEAD")
    return target, _git(target, "rev-parse", "HEAD").strip()


def _fetch(target: str, url: str, tag: str, attempts: int) -> None:
    place, options, variables = without_login(url)
    git = partial(_git, target, *SLOW, *options, "fetch", "-q", **variables)
    for failures in range(1, attempts + 1):
        try:
            if words := silence(target, place):
                raise Unavailable(words)
            git("--no-tags", "--depth", "1", place, tag)
            return
        except Unavailable as error:
            lacks = re.search(r"couldn't find remote ref|not our ref|unadvertised object", str(error))
            if lacks and re.fullmatch(r"[0-9a-f]{7,40}", tag):
                # Some servers give a commit only with all that leads to it.
                git("--tags", place, "+refs/heads/*:refs/remotes/origin/*")
                git(".", _git(target, "rev-parse", "--verify", f"{tag}^{{commit}}").strip())
                return
            if lacks or isinstance(error, Refused) or failures == attempts:
                raise
            say(f"git: {error}; trying again")
            time.sleep(min(2**failures, 30))


class Refused(Unavailable):
    """One that another attempt would not give either."""


def _git(target: str, *arguments: str, **variables: str) -> str:
    """Run git in a repository. The account's settings count (proxies); other accounts' repositories may be read."""
    settings = f"{target}config"
    # GIT_CONFIG_COUNT would not reach git's other side, which reads a repository of this host.
    _settings(settings, "[safe]\n\tdirectory = *\n")
    done = run(["git", "-C", target, *arguments], GIT_CONFIG_GLOBAL=settings, **variables)
    if done.returncode:
        kind = Refused if REFUSED.search(done.stderr) else Unavailable
        raise kind(shown(first_complaint(done.stderr)) or f"git ended with {done.returncode}")
    return done.stdout


def _settings(path: str, more: str) -> None:
    """Write settings of git that take the place of the account's own, and include them."""
    home, told = os.path.expanduser("~"), os.environ.get("GIT_CONFIG_GLOBAL")
    included = [told] if told else [f"{home}/.config/git/config", f"{home}/.gitconfig"]
    with open(path, "w") as file:
        file.write(more + "".join(f'[include]\n\tpath = "{each}"\n' for each in included))


def instead(url: str, found: str, tag: str, folder: str) -> str:
    """A file of settings with which git gets the `tag` of `url` from a tree that was had, whatever it is."""
    target = os.path.abspath(os.path.join(folder, "instead.git"))
    shutil.rmtree(target, ignore_errors=True)
    os.makedirs(target)
    _git(target, "init", "-q", "--bare")
    of_tree = ("--git-dir", target, "--work-tree", os.path.abspath(found), "-c", "user.name=x", "-c", "user.email=x@x")
    for words in (["add", "-A", "-f", os.path.abspath(found)], ["commit", "-q", "-m", tag], ["tag", tag]):
        _git(target, *of_tree, *words)
    path = f"{target}-instead"
    _settings(path, f'[url "file://{target}"]\n\tinsteadOf = {url}\n')
    return path


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
