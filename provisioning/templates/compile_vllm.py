"""Compiles vLLM for CPUs: `compile_vllm.py fetch CONFIG` gets the sources, `compile_vllm.py wheel CONFIG` a wheel.

CONFIG is a JSON file, see provisioning/steps/compile.py. Between the two calls what the build needs is installed from
the file of requirements that `fetch` writes. Both go on where they were cut off.
"""

import json
import os
import platform
import re
import shutil
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from provisioning.templates.compile_download import Unavailable, say
    from provisioning.templates.compile_fetch import first, instead
    from provisioning.templates.compile_requirements import filtered
    from provisioning.templates.compile_wheel import compilers_of, make_wheel
else:
    from compile_download import Unavailable, say
    from compile_fetch import first, instead
    from compile_requirements import filtered
    from compile_wheel import compilers_of, make_wheel

CMAKE = "cmake/cpu_extension.cmake"


def main(phase: str, file: str) -> None:
    """Do one of the two."""
    try:
        with open(file) as opened:
            config = json.load(opened)
        os.makedirs(config["folder"], exist_ok=True)
        os.chdir(config["folder"])
        fetch(config) if phase == "fetch" else make_wheel(config)
    except Unavailable as error:
        raise SystemExit(str(error)) from error
    except shutil.Error as error:  # of a folder that is copied: one line for each file
        raise SystemExit("\n".join(f"{place}: {why}" for place, _, why in error.args[0][:5])) from error
    except OSError as error:
        raise SystemExit(f"{error.filename or phase}: {error.strerror or error}") from error


def fetch(config: "dict[str, Any]") -> None:
    """Get vLLM and the libraries that its build would clone; write down what was had."""
    compiler = compilers_of(config)["cxx"]
    tag = config["revision"] or f"v{config['version']}"
    tree, commit = first(config["sources"], "sources", "vllm", tag)
    if os.path.isabs(tree):
        tree = working_copy(tree, "sources/folder")
    cmake = text(os.path.join(tree, CMAKE))
    require(compiler, cmake, config["allow_missing_isa"])
    fetched: dict[str, Any] = {"source": os.path.abspath(tree), "commit": commit}
    for name, repository, key in (("oneDNN", "oneDNN.git", "onednn"), ("ComputeLibrary", "ComputeLibrary.git", "acl")):
        wanted = wanted_tag(cmake, repository)
        if wanted and (key == "onednn" or platform.machine() == "aarch64"):
            fetched[key] = library(name, wanted, config[key])
    clone = re.search(r"GIT_REPOSITORY\s+(\S+/oneDNN\.git)", cmake)
    if clone and "onednn" in fetched and not listens(tree, cmake):
        fetched["git"] = instead(clone[1], fetched["onednn"]["tree"], fetched["onednn"]["wanted"], "sources")
    with open("requirements.txt", "w") as requirements:
        requirements.write("\n".join(filtered(tree, config["build_requirements"])) + "\n")
    with open("fetched.json.new", "w") as opened:
        json.dump(fetched, opened)
    os.replace("fetched.json.new", "fetched.json")


def listens(tree: str, cmake: str) -> bool:
    """Whether the build can be told of another oneDNN; old releases' cannot."""
    return "FETCHCONTENT_SOURCE_DIR_ONEDNN" in cmake or "CMAKE_ARGS" in text(os.path.join(tree, "setup.py"))


def require(compiler: str, cmake: str, allow_missing_isa: bool) -> None:
    """Exit where cmake would refuse this version of the compiler, or drop kernels that this processor has a use for."""
    if platform.machine() != "x86_64":
        return
    flags = text("/proc/cpuinfo").split()
    for kind, words, least in re.findall(r'(FATAL_ERROR|WARNING)\s+"([^"]*)gcc/g\+\+ >= ([\d.]+)', cmake):
        isa = re.search(r"Disable (\S+)", words)
        lost = isa and isa[1].lower().replace("-", "_") in flags and not allow_missing_isa
        if number(compiler) < number(least) and (kind == "FATAL_ERROR" or lost):
            raise SystemExit(
                f"This vLLM needs gcc and g++ {least}, and these are {compiler}"
                + (f": {isa[1]} would be lost.\n" if isa else ".\n")
                + "Take another compiler (build.cxx, compiler.version), or the prebuilt wheel (build.method: wheel)"
                + (", or do without: build.allow_missing_isa: true" if isa else "")
            )


def number(version: str) -> "list[int]":
    """A version as something that sorts."""
    return [int(part) for part in re.findall(r"\d+", version)]


def library(name: str, wanted: str, told: "dict[str, Any]") -> "dict[str, Any]":
    """One library's tree: the first that is the wanted version, or the first of all where others are allowed."""

    def is_wanted(tree: str, commit: str) -> bool:
        return commit == wanted or f"{version_of(tree)}.".startswith(f"{wanted.removeprefix('v')}.")

    def fits(tree: str, commit: str) -> None:
        if not is_wanted(tree, commit) and not told["allow"]:
            raise Unavailable(f"{name} {version_of(tree)} in {tree} is not the {wanted} that this vLLM wants")

    setting = f"build.{told['setting']}"
    advice = f"Give its source ({setting}.sources), or take another version: {setting}.allow: true"
    tree, commit = first(told["sources"], "sources", name, wanted, fits, advice)
    version = version_of(tree)
    say(f"{name}: {version}" + ("" if is_wanted(tree, commit) else f", although {wanted} is wanted"))
    if name == "ComputeLibrary" and os.path.isabs(tree):
        tree = working_copy(tree, "sources/acl")  # vLLM's cmake builds it in its place
    return {"tree": os.path.abspath(tree), "version": version, "commit": commit, "wanted": wanted}


def wanted_tag(cmake: str, repository: str) -> str:
    """The tag or commit that cmake would clone; "" where it clones no such thing."""
    tags = [re.search(r"GIT_TAG\s+([\w.-]+)", part) for part in cmake.split(repository)[1:]]
    found = [tag[1] for tag in tags if tag]
    # ARM may have a pin of its own, a commit, which stands first; POWER's stands last.
    releases = [tag for tag in found if re.fullmatch(r"v[\d.]+", tag)]
    return next(iter(found if platform.machine() == "aarch64" else [*releases, *found]), "")


def version_of(tree: str) -> str:
    """The version that a library's CMakeLists.txt gives, or "unknown"."""
    content = text(os.path.join(tree, "CMakeLists.txt"))
    found = re.search(r'PROJECT_VERSION\s+"?(\d[\d.]*)', content) or re.search(
        r'project\([^)]*?VERSION\s+"?(\d[\d.]*)', content, re.DOTALL | re.IGNORECASE
    )
    return found[1] if found else "unknown"


def working_copy(folder: str, target: str) -> str:
    """A copy to build in, with what the last build made in it: nobody else's folder is written to."""
    fresh = f"{target}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    made = {"build", ".deps", ".git"}
    shutil.copytree(folder, fresh, symlinks=True, ignore=lambda place, _: made if place == folder else ())
    for kept in ("build", ".deps"):
        if os.path.isdir(f"{target}/{kept}"):
            os.rename(f"{target}/{kept}", f"{fresh}/{kept}")
    shutil.rmtree(target, ignore_errors=True)
    os.rename(fresh, target)
    return target


def text(path: str) -> str:
    """A file's text; "" where there is none."""
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8", errors="replace") as opened:
        return opened.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
