"""Makes a wheel of the fetched source, and writes down what went into it."""

import glob
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from provisioning.templates.compile_download import last_line, say, sha256_of
    from provisioning.templates.compile_explain import LOST_ISA, explain
    from provisioning.templates.compile_needs import needs
    from provisioning.templates.git_client import run
else:
    from compile_download import last_line, say, sha256_of
    from compile_explain import LOST_ISA, explain
    from compile_needs import needs
    from git_client import run

OUTPUT = "output"


def make_wheel(config: "dict[str, Any]") -> None:
    """Compile, and leave the wheel with its manifest in `output`. Exits with the first error and its likely cause."""
    with open("fetched.json") as opened:
        fetched = json.load(opened)
    compilers = compilers_of(config)
    jobs = jobs_for(config)
    say(f"compiling with {config['cxx']} {compilers['cxx']}, {jobs} {'file' if jobs == 1 else 'files'} at once")
    shutil.rmtree(OUTPUT, ignore_errors=True)
    environment = environment_for(config, fetched, jobs)
    began = time.monotonic()
    statistics(environment, "--zero-stats")
    log = compile_wheel(fetched["source"], environment, config["allow_missing_isa"])
    statistics(environment, "--show-stats")
    (wheel,) = glob.glob(f"{OUTPUT}/*.whl")
    manifest = {
        **{key: config[key] for key in ("key", "version", "python", "torch", "flags")},
        "commit": fetched["commit"],
        "compilers": compilers,
        **{key: fetched[key] for key in ("onednn", "acl") if key in fetched},
        "architecture": platform.machine(),
        **needs(wheel, log),
        "wheel": os.path.basename(wheel),
        "sha256": sha256_of(wheel),
        "size": os.path.getsize(wheel),
        "host": platform.node(),
        "made": int(time.time()),
        "seconds": round(time.monotonic() - began),
        "jobs": jobs,
    }
    with open(f"{OUTPUT}/manifest.json", "w") as opened:
        json.dump(manifest, opened, indent=2)
    say(f"compiled {manifest['wheel']}, {manifest['size'] / 1e6:.0f} MB, in {manifest['seconds']} s")


def jobs_for(config: "dict[str, Any]") -> int:
    """As told; else as many as there are cores, and memory for the heaviest files at once."""
    if config["jobs"] != "auto":
        return int(config["jobs"])
    with open("/proc/meminfo") as opened:
        available = int(re.search(r"MemAvailable:\s+(\d+)", opened.read())[1]) * 1024  # type: ignore[index]
    available = min(available, config["memory_limit"])
    return int(max(1, min(len(os.sched_getaffinity(0)), available // config["memory_per_job"])))


FRUGAL = "--param=ggc-min-expand=10 --param=ggc-min-heapsize=32768"
"""Lets gcc collect its garbage sooner: 2.4 instead of 4.0 GB for vLLM's heaviest file, for more time.

https://gcc.gnu.org/onlinedocs/gcc/Optimize-Options.html#index-ggc-min-expand
"""


def environment_for(config: "dict[str, Any]", fetched: "dict[str, Any]", jobs: int) -> "dict[str, str]":
    """What vLLM's setup.py reads: https://docs.vllm.ai/en/stable/getting_started/installation/cpu.html"""
    values = {
        **os.environ,
        "PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}",
        "CC": config["cc"],
        "CXX": config["cxx"],
        "VLLM_TARGET_DEVICE": "cpu",
        "MAX_JOBS": str(jobs),
        "CMAKE_BUILD_PARALLEL_LEVEL": str(jobs),
        # A source distribution and a shallow clone have no tags to read the version from.
        "SETUPTOOLS_SCM_PRETEND_VERSION": config["version"],
        "CMAKE_ARGS": config["flags"],
        "CCACHE_DIR": os.path.abspath("../ccache"),
        "CCACHE_MAXSIZE": "5G",
        "CCACHE_BASEDIR": os.getcwd(),
        "CCACHE_NOHASHDIR": "1",
        # Of what is not there yet the compiler tells the headers: no preprocessor runs before it, which took 6 % more.
        "CCACHE_DEPEND": "1",
        "VLLM_DISABLE_SCCACHE": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    if config["memory_limit"] < jobs * config["memory_per_job"]:
        values["CXXFLAGS"] = f"{os.environ.get('CXXFLAGS', '')} {FRUGAL}".strip()
    if not config["ccache"]:
        values["CCACHE_DISABLE"] = "1"
    if "onednn" in fetched:
        tree = without_spaces(fetched["onednn"]["tree"])
        values["FETCHCONTENT_SOURCE_DIR_ONEDNN"] = tree
        if not re.search(r"\s", tree):
            # Releases up to about 0.9 read the variable of cmake alone.
            values["CMAKE_ARGS"] = f"-DFETCHCONTENT_SOURCE_DIR_ONEDNN={tree} {config['flags']}".strip()
    if "acl" in fetched:
        values["ACL_ROOT_DIR"] = fetched["acl"]["tree"]
    if "git" in fetched:
        values["GIT_CONFIG_GLOBAL"] = fetched["git"]
    return values


def without_spaces(tree: str) -> str:
    """A way to a tree without spaces, at which setup.py splits CMAKE_ARGS, whatever is quoted."""
    if not re.search(r"\s", tree):
        return tree
    link = os.path.abspath("onednn-link")
    if os.path.lexists(link):
        os.unlink(link)
    os.symlink(tree, link)
    return link


def compile_wheel(source: str, environment: "dict[str, str]", allow_missing_isa: bool) -> str:
    """Run the build, show its output as it comes, and give all of it."""
    command = [sys.executable, "-m", "pip", "wheel", "-v", "--no-build-isolation", "--no-deps", "-w", OUTPUT, source]
    log = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    with subprocess.Popen(
        ["nice", "-n", "10", *command],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as build:
        assert build.stdout
        try:
            for line in build.stdout:
                log.append(line)
                print(line, end="", flush=True)
                if LOST_ISA.search(line) and not allow_missing_isa:
                    raise SystemExit(explain(line))
        except BaseException:
            stop(build)
            raise
    if build.returncode:
        raise SystemExit(explain("".join(log)))
    return "".join(log)


def stop(build: "subprocess.Popen[str]") -> None:
    """End a build with all its compilers, and wait until they are gone: they write where the next build will."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for number, patience in ((signal.SIGTERM, 20), (signal.SIGKILL, 5)):
        until = time.monotonic() + patience
        try:
            os.killpg(build.pid, number)
            while time.monotonic() < until:
                build.poll()
                os.killpg(build.pid, 0)
                time.sleep(0.1)
        except ProcessLookupError:
            return


def compilers_of(config: "dict[str, Any]") -> "dict[str, str]":
    """Full versions of gcc and g++. Exits where one cannot be run, or where they do not belong together."""
    found = {}
    for name in ("cc", "cxx"):
        try:
            done = run([config[name], "-dumpfullversion"])
        except OSError as error:
            raise SystemExit(f"{config[name]} cannot be run: {error.strerror}.\n{COMPILERS}") from error
        found[name] = done.stdout.strip()
        if not re.fullmatch(r"\d+(\.\d+)+", found[name]):
            raise SystemExit(f"{config[name]} is no gcc that works: {last_line(done)}\n{COMPILERS}")
    if found["cc"] != found["cxx"]:
        raise SystemExit(f"{config['cc']} is {found['cc']} and {config['cxx']} is {found['cxx']}.\n{COMPILERS}")
    return found


COMPILERS = "gcc and g++ must be of one version, and the account that serves must be able to run them (build.cxx)."


def statistics(environment: "dict[str, str]", what: str) -> None:
    """ccache's statistics, where it is used."""
    if not environment.get("CCACHE_DISABLE") and shutil.which("ccache", path=environment["PATH"]):
        shown = subprocess.run(["ccache", what], env=environment, capture_output=True, text=True, check=False)
        for line in shown.stdout.splitlines() if what == "--show-stats" else ():
            say(f"ccache: {line.strip()}")
