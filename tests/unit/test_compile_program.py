"""The program that compiles on a host: what it reads from vLLM's files, filters, fetches and explains."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest

from provisioning.templates import FOLDER

sys.path.insert(0, str(FOLDER))

import compile_download
import compile_explain
import compile_fetch
import compile_needs
import compile_requirements
import compile_vllm
import compile_wheel
import git_client

CMAKE = """
if (ASIMD_FOUND)
    FetchContent_Declare(oneDNN GIT_REPOSITORY https://github.com/oneapi-src/oneDNN.git
        GIT_TAG        9c5be1cc59e368aebf0909e6cf20f981ea61462a)
else()
    FetchContent_Declare(oneDNN GIT_REPOSITORY https://github.com/oneapi-src/oneDNN.git
        GIT_TAG        v3.13)
endif()
"""


def test_the_wanted_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compile_vllm.platform, "machine", lambda: "x86_64")
    assert compile_vllm.wanted_tag(CMAKE, "oneDNN.git") == "v3.13"
    monkeypatch.setattr(compile_vllm.platform, "machine", lambda: "aarch64")
    assert compile_vllm.wanted_tag(CMAKE, "oneDNN.git").startswith("9c5be1cc")
    assert compile_vllm.wanted_tag("# nothing", "oneDNN.git") == ""


POWER = """
if (AVX512_FOUND AND NOT AVX512_DISABLED)
    FetchContent_Declare(oneDNN GIT_REPOSITORY https://github.com/oneapi-src/oneDNN.git
        GIT_TAG  v3.7.1)
elseif(POWER10_FOUND)
    FetchContent_Declare(oneDNN GIT_REPOSITORY https://github.com/oneapi-src/oneDNN.git
        GIT_TAG  v3.7.2)
endif()
"""


def test_power_has_a_tag_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compile_vllm.platform, "machine", lambda: "x86_64")
    assert compile_vllm.wanted_tag(POWER, "oneDNN.git") == "v3.7.1"


@pytest.mark.parametrize(
    ("content", "version"),
    [
        ('set(PROJECT_VERSION "3.7.2")\nproject(${N} VERSION "${PROJECT_VERSION}")', "3.7.2"),
        ("project(\n    ArmCompute\n    VERSION 52.6.0\n    LANGUAGES C CXX)", "52.6.0"),
        ("", "unknown"),
    ],
)
def test_the_version_of_a_library(content: str, version: str, tmp_path: Path) -> None:
    (tmp_path / "CMakeLists.txt").write_text(content)
    assert compile_vllm.version_of(str(tmp_path)) == version


@pytest.mark.parametrize(("version", "fits"), [("3.13", True), ("3.13.1", True), ("3.7.2", False), ("3.130", False)])
def test_another_version_is_taken_only_when_allowed(version: str, fits: bool, tmp_path: Path) -> None:
    (tmp_path / "CMakeLists.txt").write_text(f'set(PROJECT_VERSION "{version}")')
    told = {"setting": "onednn", "sources": [str(tmp_path)], "allow": False}
    if fits:
        assert compile_vllm.library("oneDNN", "v3.13", told)["version"] == version
        return
    with pytest.raises(SystemExit, match=r"build\.onednn\.allow"):
        compile_vllm.library("oneDNN", "v3.13", told)
    assert compile_vllm.library("oneDNN", "v3.13", {**told, "allow": True})["wanted"] == "v3.13"


def library(path: Path, version: str) -> Path:
    """The folder of one."""
    path.mkdir(parents=True)
    (path / "CMakeLists.txt").write_text(f'set(PROJECT_VERSION "{version}")')
    return path


def test_a_later_source_may_have_the_wanted_version(tmp_path: Path) -> None:
    wrong, right = library(tmp_path / "a", "3.7.2"), library(tmp_path / "b", "3.13")
    told: dict[str, Any] = {"setting": "onednn", "sources": [str(wrong), str(right)], "allow": False}
    assert compile_vllm.library("oneDNN", "v3.13", told)["tree"] == str(right)
    with pytest.raises(SystemExit) as ended:
        compile_vllm.library("oneDNN", "v3.14", told)
    assert all(
        part in str(ended.value)
        for part in (f"oneDNN 3.7.2 in {wrong} is", f"oneDNN 3.13 in {right} is", "allow: true")
    )


def test_acl_is_built_in_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mine = library(tmp_path / "mine", "52.6.0")
    told: dict[str, Any] = {"setting": "arm_compute", "sources": [str(mine)], "allow": False}
    (tmp_path / "sources").mkdir()
    tree = Path(compile_vllm.library("ComputeLibrary", "v52.6.0", told)["tree"])
    assert tree == tmp_path / "sources/acl"
    assert (tree / "CMakeLists.txt").exists()


def compilers(folder: Path, **versions: str) -> dict[str, str]:
    """Some that say their version and no more."""
    folder.mkdir(exist_ok=True)
    for name, version in versions.items():
        (folder / name).write_text(f"#!/bin/sh\necho {version}\n")
        (folder / name).chmod(0o755)
    return {name: str(folder / name) for name in ("cc", "cxx")}


@pytest.mark.parametrize(
    ("versions", "said"),
    [
        ({"cxx": "12.4.0"}, r"/cc cannot be run: No such file"),
        ({"cc": "12.2.0", "cxx": "12.4.0"}, r"/cc is 12\.2\.0 and .*/cxx is 12\.4\.0"),
        ({"cc": "", "cxx": ""}, r"/cc is no gcc"),
    ],
)
def test_compilers_are_looked_at_before_anything_is_fetched(
    versions: dict[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compile_vllm, "first", lambda *_: pytest.fail("fetched"))
    with pytest.raises(SystemExit, match=said):
        compile_vllm.fetch({**compilers(tmp_path, **versions), "revision": "", "version": "1"})


STOPS = 'message(FATAL_ERROR "X86 backend requires gcc/g++ >= 12.3")'
DROPS = 'message(WARNING "Disable AMX_BF16 ISA support, requires gcc/g++ >= 12.3")'


@pytest.mark.parametrize(
    ("cmake", "version", "flags", "allow", "refused"),
    [
        (STOPS, "12.2.0", "", True, True),
        (STOPS, "12.3.0", "", False, False),
        (DROPS, "12.2.0", "flags : avx2 amx_bf16", False, True),
        (DROPS, "12.2.0", "flags : avx2 amx_bf16", True, False),
        (DROPS, "12.2.0", "flags : avx2", False, False),
        (DROPS, "14.2.0", "flags : avx2 amx_bf16", False, False),
    ],
)
def test_an_old_compiler_is_refused_before_the_build(
    cmake: str, version: str, flags: str, allow: bool, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compile_vllm.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(compile_vllm, "text", lambda _: flags)
    if not refused:
        compile_vllm.require(version, cmake, allow)
        return
    with pytest.raises(SystemExit, match=r"needs gcc and g\+\+ 12\.3"):
        compile_vllm.require(version, cmake, allow)
    monkeypatch.setattr(compile_vllm.platform, "machine", lambda: "aarch64")
    compile_vllm.require(version, cmake, allow)


def test_the_build_is_told_of_onednn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told = {
        "cc": "gcc",
        "cxx": "g++",
        "version": "1",
        "flags": "-DX=1",
        "ccache": False,
        "memory_limit": 8,
        "memory_per_job": 4,
    }
    found = compile_wheel.environment_for(told, {"onednn": {"tree": "/srv/onednn"}}, 1)
    assert found["CMAKE_ARGS"].split() == ["-DFETCHCONTENT_SOURCE_DIR_ONEDNN=/srv/onednn", "-DX=1"]
    spaced = library(tmp_path / "a b", "3.13")
    found = compile_wheel.environment_for(told, {"onednn": {"tree": str(spaced)}}, 1)
    place = Path(found["CMAKE_ARGS"].split()[0].partition("=")[2])
    assert (place / "CMakeLists.txt").exists()
    assert found["FETCHCONTENT_SOURCE_DIR_ONEDNN"] == str(place)


def test_a_build_that_listens_to_nothing_clones_what_was_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    had = library(tmp_path / "had", "3.6")
    (had / ".gitignore").write_text("build\n")
    (had / "build").mkdir()
    (had / "build/x").write_text("x")
    url = "https://mirror.invalid/oneDNN.git"
    for _ in range(2):
        settings = compile_fetch.instead(url, str(had), "v3.6", str(tmp_path / "sources"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", settings)
    for words in (
        ["clone", "-q", "--no-checkout", "--depth", "1", "--no-single-branch", url],
        ["checkout", "-q", "v3.6"],
    ):
        where = tmp_path if words[0] == "clone" else tmp_path / "oneDNN"
        subprocess.run(["git", *words], cwd=where, check=True)
    assert (tmp_path / "oneDNN/CMakeLists.txt").exists()
    assert (tmp_path / "oneDNN/build/x").exists()
    assert not (had / ".git").exists()


def test_git_that_fails_is_no_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_: object) -> None:
        raise compile_download.Unavailable("fatal: no space")

    monkeypatch.setattr(compile_vllm, "fetch", failing)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"folder": str(tmp_path)}))
    with pytest.raises(SystemExit, match="no space"):
        compile_vllm.main("fetch", "config.json")


@pytest.mark.parametrize(
    ("folder", "said"), [("/proc/none", "/proc/none: No such file"), ("{}/config.json", "config.json: ")]
)
def test_what_the_file_system_says_is_no_traceback(folder: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"folder": folder.format(tmp_path)}))
    with pytest.raises(SystemExit, match=said):
        compile_vllm.main("fetch", str(tmp_path / "config.json"))


def test_only_old_releases_do_not_listen(tmp_path: Path) -> None:
    assert not compile_vllm.listens(str(tmp_path), POWER)
    assert compile_vllm.listens(str(tmp_path), 'set(X "$ENV{FETCHCONTENT_SOURCE_DIR_ONEDNN}")')
    (tmp_path / "setup.py").write_text('os.environ.get("CMAKE_ARGS")')
    assert compile_vllm.listens(str(tmp_path), POWER)


SLOW_TO_END = """#!/bin/sh
(trap 'sleep 0.7; rm alive; exit' TERM; >alive; echo begun; for i in $(seq 300); do sleep 0.1; done) &
wait
"""


def test_a_build_that_is_stopped_leaves_no_compilers(tmp_path: Path) -> None:
    (tmp_path / "python").write_text(SLOW_TO_END)
    (tmp_path / "python").chmod(0o755)
    program = (
        f"import os, sys; sys.path.insert(0, {str(FOLDER)!r}); import compile_wheel; "
        f"sys.executable = {str(tmp_path / 'python')!r}; compile_wheel.compile_wheel('x', dict(os.environ), False)"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        assert running.stdout.readline() == "begun\n"
        assert (tmp_path / "alive").exists()
        running.terminate()
        assert running.wait(timeout=60)
    assert not (tmp_path / "alive").exists()


REQUIREMENTS = """\
# Common dependencies
-r common.txt
--extra-index-url https://download.pytorch.org/whl/cpu
setuptools==77.0.3 # this version can reuse CMake build dir
torch==2.13.0+cpu; platform_machine == "x86_64"
torchaudio; platform_machine != "s390x"
torchvision
triton @ https://github.com/x/triton.whl ; platform_machine == "x86_64"
nvidia-cublas-cu12
nvidia_nvshmem_cu12
Triton==3.1
cupy-cuda12x
intel-openmp==2024.2.1; platform_machine == "x86_64"
opentelemetry-semantic-conventions-ai >= 0.4.1
"""


def test_requirements_are_filtered(tmp_path: Path) -> None:
    (tmp_path / "cpu.txt").write_text(REQUIREMENTS)
    (tmp_path / "common.txt").write_text("  -r cpu.txt\nnumpy\nfoo @ git+https://github.com/x/foo\n\n")
    assert compile_requirements.filtered(str(tmp_path), "cpu.txt") == [
        "numpy",
        "setuptools==77.0.3",
        'intel-openmp==2024.2.1; platform_machine == "x86_64"',
        "opentelemetry-semantic-conventions-ai >= 0.4.1",
    ]


def test_requirements_of_pyproject(tmp_path: Path) -> None:
    text = '[build-system]\nrequires = [\n  "cmake>=3.26",\n  "torch == 2.4.0",\n  "x; python_version < \'3.12\'",\n]\n'
    (tmp_path / "pyproject.toml").write_text(text)
    assert compile_requirements.filtered(str(tmp_path), None) == ["cmake>=3.26", "x; python_version < '3.12'"]
    (tmp_path / "pyproject.toml").write_text("requires = ['a[b]', # 'not this'\n \"c\" ]\nother = [\n 'd',\n]\n")
    assert compile_requirements.filtered(str(tmp_path), None) == ["a[b]", "c"]


def make_wheel(path: Path, needs: str = "", libraries: dict[str, bytes] | None = None) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("vllm-0.31.0+cpu.dist-info/METADATA", f"Name: vllm\n{needs}\nRequires-Dist: not this one\n")
        for name, content in (libraries or {}).items():
            archive.writestr(name, content)
    return path


def test_requirements_of_a_wheel(tmp_path: Path) -> None:
    needs = "Requires-Dist: numpy\nRequires-Dist: torch==2.13.0+cpu\nRequires-Dist: ray; extra == 'ray'\n"
    assert compile_requirements.of_wheel(str(make_wheel(tmp_path / "a.whl", needs))) == ["numpy"]


def test_what_a_wheel_needs_of_a_host(tmp_path: Path) -> None:
    symbols = b"\0GLIBC_2.4\0GLIBC_2.34\0GLIBC_2.38\0GLIBC_2.2.5\0"
    several = {f"vllm/_C{variant}.abi3.so": symbols for variant in ("", "_AVX512", "_AVX2")}
    found = compile_needs.needs(str(make_wheel(tmp_path / "a.whl", libraries=several)), "")
    assert found == {"glibc": "2.38", "cpu_flags": ["avx2"], "variants": ["_C", "_C_AVX2", "_C_AVX512"]}
    log = "-- CPU extension compile flags: -fopenmp;-mavx512f;-mavx512bf16\n"
    found = compile_needs.needs(str(make_wheel(tmp_path / "b.whl", libraries={"vllm/_C.so": symbols})), log)
    assert found["cpu_flags"] == ["avx512f", "avx512_bf16"]


def test_what_a_wheel_needs_of_an_arm_host(tmp_path: Path) -> None:
    log = "-- CPU extension compile flags: -fopenmp;-DVLLM_CPU_EXTENSION;-march=armv8.2-a+bf16+dotprod+fp16+i8mm\n"
    found = compile_needs.needs(str(make_wheel(tmp_path / "a.whl", libraries={"vllm/_C.so": b""})), log)
    assert found["cpu_flags"] == ["bf16", "asimddp", "asimdhp", "i8mm"]


def test_gcc_is_frugal_where_memory_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXXFLAGS", "-g0")
    told = {"cc": "gcc", "cxx": "g++", "version": "1", "flags": "", "ccache": True, "memory_per_job": 4}
    short = compile_wheel.environment_for({**told, "memory_limit": 7}, {}, 2)
    assert short["CXXFLAGS"] == f"-g0 {compile_wheel.FRUGAL}"
    assert compile_wheel.environment_for({**told, "memory_limit": 8}, {}, 2)["CXXFLAGS"] == "-g0"


def test_jobs_follow_from_memory() -> None:
    about = {"jobs": "auto", "memory_limit": 3 << 30, "memory_per_job": 2 << 30}
    assert compile_wheel.jobs_for(about) == 1
    assert compile_wheel.jobs_for({**about, "memory_limit": 1}) == 1
    assert compile_wheel.jobs_for({**about, "jobs": 5}) == 5
    assert compile_wheel.jobs_for({**about, "memory_per_job": 1}) == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("g++: fatal error: Killed signal terminated program cc1plus", "want of memory"),
        ("/tmp/x.s: fatal error: can't write 12 bytes: No space left on device", "disk is full"),
        ("CMake Error: X86 backend requires gcc/g++ >= 12.3", "too old"),
        ("csrc/cpu/utils.cpp:1:10: fatal error: numa.h: No such file or directory", "libnuma"),
        ("fatal: unable to access 'https://github.com/oneapi-src/oneDNN.git/': x", "wants to download"),
        ("ModuleNotFoundError: No module named 'setuptools_scm'", "Python package"),
        ("/usr/bin/ld: cannot find -lnuma: No such file or directory", "libnuma"),
        ("collect2: fatal error: ld terminated with signal 9 [Killed]", "want of memory"),
        ("/tmp/x.s:42: Error: no such instruction: `vdpbf16ps %zmm0,%zmm1,%zmm2'", "too old"),
        ("error: RPC failed; curl 56 GnuTLS recv error (-9)", "wants to download"),
        ('CMake Error: CMake was unable to find a build program corresponding to "Ninja".', "has gone"),
    ],
)
def test_the_first_error_and_its_cause(line: str, cause: str) -> None:
    log = "\n".join(["[1/9] Building a", "  copying error_response.py", line, *["later error: x"] * 50])
    words = compile_explain.explain(log)
    assert line in words
    assert cause in words
    assert len(words.splitlines()) < 12


def test_a_compiler_that_says_nothing() -> None:
    words = compile_explain.explain("[1/9] Building a\nFAILED: a.o\ng++ -c a.cpp\nninja: build stopped.\n")
    assert "ended without a word" in words
    assert compile_explain.explain("") == "The build failed, and said nothing."


def test_a_linker_is_not_its_last_line() -> None:
    words = compile_explain.explain("FAILED: a.so\nld: cannot find -lnuma\ncollect2: error: ld returned 1 exit status")
    assert "libnuma" in words


NOISE = """\
torch/_subclasses/functional_tensor.py:279: UserWarning: Failed to initialize NumPy: No module named 'numpy'
-- CPU extension (AVX512F + BF16 + VNNI + AMX) compile flags: -fopenmp;-mavx512f;-mamx-bf16;-mamx-tile;-mavx512bf16
fatal: not a git repository (or any of the parent directories): .git
  Disable AVX512-BF16 ISA support, no avx512_bf16 found in local CPU flags.
"""


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ("g++: fatal error: Killed signal terminated program cc1plus", "want of memory"),
        ("cc1plus: out of memory allocating 65536 bytes", "want of memory"),
        ("csrc/cpu/utils.cpp:1:10: fatal error: numa.h: No such file or directory", "libnuma"),
        ("g++: error: unrecognized command-line option '-mavx512x'", "too old"),
        ("csrc/cpu/utils.cpp:7:1: error: 'x' was not declared in this scope", ""),
    ],
)
def test_what_every_log_says_is_no_cause(error: str, cause: str) -> None:
    command = "/usr/bin/ccache g++ -mavx512f -mamx-bf16 -mavx512bf16 -o utils.o"
    log = f"{NOISE}[7/9] Building\nFAILED: utils.o\n{command}\n" + "In file included from a.h:1,\n" * 9 + error + "\nb"
    words = compile_explain.explain(log)
    assert error in words
    assert cause in words
    assert ("Likely cause" in words) == bool(cause)


def test_kernels_that_may_be_lost_are_not_the_error() -> None:
    lost = "  Disable AVX512-BF16 ISA support, requires gcc/g++ >= 12.3\n"
    words = compile_explain.explain(
        lost + "-- fine\n" * 9 + "a.cpp:1:1: fatal error: Python.h: No such file or directory"
    )
    assert "Python's headers" in words


@pytest.mark.parametrize(
    ("line", "lost"),
    [
        ("  Disable AVX512-BF16 ISA support, requires gcc/g++ >= 12.3", True),
        ("  Disable AVX512-VNNI ISA support, requires gcc/g++ >= 12.3", True),
        ("  Disable AMX_BF16 ISA support, requires gcc/g++ >= 12.3", True),
        ("  Disable AVX512-BF16 ISA support, no avx512_bf16 found in local CPU flags.", False),
        ("  Disable AVX512-VNNI ISA support, no avx512_vnni found in local CPU flags.", False),
        ("  Disable AMX_BF16 ISA support, no amx_bf16 found in local CPU flags.", False),
    ],
)
def test_a_processor_without_an_isa_loses_nothing(line: str, lost: bool) -> None:
    assert bool(compile_explain.LOST_ISA.search(line)) == lost
    assert ("drop kernels" in compile_explain.explain(line)) == lost


def test_a_tarball_is_fetched_once_and_checked(tmp_path: Path) -> None:
    tree = tmp_path / "oneDNN-3.13"
    tree.mkdir()
    (tree / "CMakeLists.txt").write_text('set(PROJECT_VERSION "3.13")')
    subprocess.run(["tar", "-czf", tmp_path / "v3.13.tar.gz", "-C", tmp_path, tree.name], check=True)
    digest = hashlib.sha256((tmp_path / "v3.13.tar.gz").read_bytes()).hexdigest()
    source = f"file://{tmp_path}/{{tag}}.tar.gz"
    folder = str(tmp_path / "into")
    found, what = compile_fetch.first([source], folder, "oneDNN", "v3.13")
    assert (Path(found) / "CMakeLists.txt").exists()
    assert what == f"sha256:{digest}"
    (tmp_path / "v3.13.tar.gz").unlink()
    assert compile_fetch.first([source], folder, "oneDNN", "v3.13") == (found, what)
    with pytest.raises(compile_download.Unavailable):
        compile_download.unpacked(f"file://{tmp_path}/gone.tar.gz", "", folder, "x")


def test_git_takes_a_tag_or_a_commit(tmp_path: Path) -> None:
    origin = tmp_path / "origin"
    git = ["git", "-C", str(origin), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "init", "-q", origin], check=True)
    for number in ("1", "2"):
        (origin / "file").write_text(number)
        subprocess.run([*git, "add", "."], check=True)
        subprocess.run([*git, "commit", "-qm", number], check=True)
        subprocess.run([*git, "tag", f"v{number}"], check=True)
    first = subprocess.run([*git, "rev-parse", "v1"], capture_output=True, text=True, check=True).stdout.strip()
    for wanted in ("v1", first):
        tree, commit = compile_fetch.first(["/nowhere", f"file://{origin}"], str(tmp_path / "into"), "vllm", wanted)
        assert commit == first
        assert (Path(tree) / "file").read_text() == "1"
    with pytest.raises(SystemExit, match="cannot be had"):
        compile_fetch.first([f"file://{origin}"], str(tmp_path / "into"), "vllm", "v9")


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """A repository with a tag v1."""
    folder = tmp_path / "origin"
    subprocess.run(["git", "init", "-q", folder], check=True)
    (folder / "file").write_text("1")
    for words in (["add", "."], ["commit", "-qm", "1"], ["tag", "v1"]):
        subprocess.run(["git", "-C", folder, "-c", "user.name=a", "-c", "user.email=a@b", *words], check=True)
    return folder


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_git_reads_another_accounts_repository(origin: Path, tmp_path: Path) -> None:
    for path in (origin, *origin.rglob("*")):
        os.chown(path, 12345, 12345)
    tree, _ = compile_fetch.first([f"file://{origin}"], str(tmp_path / "into"), "vllm", "v1")
    assert (Path(tree) / "file").read_text() == "1"


def test_the_accounts_own_settings_of_git_count(origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GIT_CONFIG_GLOBAL", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".gitconfig").write_text(f'[url "file://{origin}"]\n\tinsteadOf = https://mirror.invalid/vllm.git\n')
    tree, _ = compile_fetch.first(["https://mirror.invalid/vllm.git"], str(tmp_path / "into"), "vllm", "v1")
    assert (Path(tree) / "file").exists()


SSH_END = "\nPlease make sure you have the correct access rights\nand the repository exists.\n"


@pytest.mark.parametrize(
    ("words", "complaint", "final"),
    [
        (
            "Warning: Permanently added 'host' to the list of known hosts.\ngit@host: Permission denied (publickey).\n"
            f"fatal: Could not read from remote repository.\n{SSH_END}",
            "git@host: Permission denied (publickey).",
            True,
        ),
        (
            f"Host key verification failed.\nfatal: Could not read from remote repository.\n{SSH_END}",
            "Host key verification failed.",
            True,
        ),
        (
            "fatal: '/srv/gone.git' does not appear to be a git repository\n"
            f"fatal: Could not read from remote repository.\n{SSH_END}",
            "fatal: '/srv/gone.git' does not appear to be a git repository",
            True,
        ),
        (
            "remote: Repository not found.\nfatal: repository 'https://host/x.git/' not found\n",
            "fatal: repository 'https://host/x.git/' not found",
            True,
        ),
        (
            "error: RPC failed; HTTP 503 curl 22\nfatal: expected 'packfile'\n",
            "error: RPC failed; HTTP 503 curl 22",
            False,
        ),
        (
            "fatal: unable to access 'https://host/': Could not resolve host: host\n",
            "fatal: unable to access 'https://host/': Could not resolve host: host",
            False,
        ),
    ],
)
def test_what_git_complains_of(words: str, complaint: str, final: bool) -> None:
    assert compile_fetch.first_complaint(words) == complaint
    assert bool(compile_fetch.REFUSED.search(words)) == final


def test_a_repository_that_is_not_there_is_asked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compile_fetch.time, "sleep", lambda _: pytest.fail("tried again"))
    with pytest.raises(SystemExit, match="does not appear to be a git repository"):
        compile_fetch.first([f"file://{tmp_path}/gone.git"], str(tmp_path / "into"), "vllm", "v1")


@pytest.fixture
def asked() -> Iterator[tuple[str, list[str]]]:
    """The address of a server that has nothing and wants a login, and the logins that it was given."""
    logins: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if given := self.headers.get("Authorization"):
                logins.append(base64.b64decode(given.partition(" ")[2]).decode())
            self.send_response(404 if given else 401)
            self.send_header("WWW-Authenticate", 'Basic realm="x"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}", logins
        server.shutdown()
        thread.join()


def test_git_gets_the_password_where_nobody_sees_it(
    asked: tuple[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, logins = asked
    commands: list[list[str]] = []
    run = compile_fetch.run

    def recorded(command: list[str], **more: str) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return run(command, **more)

    monkeypatch.setattr(compile_fetch, "run", recorded)
    with pytest.raises(SystemExit, match="not found") as refused:
        compile_fetch.first([f"http://me:s%25cr@t@{server}/x.git"], str(tmp_path), "vllm", "v1")
    assert "me:s%cr@t" in logins
    assert "cr@t" not in str(refused.value)
    assert not any("cr@t" in argument for command in commands for argument in command)
    assert not any(b"cr@t" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


@pytest.mark.parametrize("login", ["user:pass", "user:p@ss", "token"])
def test_passwords_are_not_shown(login: str) -> None:
    assert git_client.shown(f"https://{login}@host/x.git") == "https://host/x.git"


def test_what_the_host_is_told_is_not_for_all_eyes(tmp_path: Path) -> None:
    script = (FOLDER / "compile_vllm.sh").read_text()
    begin, end = script.index("(umask"), script.index("{% include")
    (tmp_path / "config.json").write_text("{}")
    subprocess.run(["sh", "-ec", f"umask 022; {script[begin:end]}touch other"], cwd=tmp_path, check=True)
    assert (tmp_path / "config.json").stat().st_mode & 0o777 == 0o600
    assert "config" in (tmp_path / "config.json").read_text()
    assert (tmp_path / "other").stat().st_mode & 0o777 == 0o644


def packed(path: Path, content: str) -> str:
    """The URL of a tarball with one file in one folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("tree/file")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content.encode()))
    return path.as_uri()


def test_a_path_may_be_an_archive_or_name_the_tag(tmp_path: Path) -> None:
    packed(tmp_path / "a b/x-1.tgz", "one")
    library(tmp_path / "y-v1", "1")
    for source in (f"{tmp_path}/a b/x-{{version}}.tgz", f"{tmp_path}/y-{{tag}}"):
        tree, _ = compile_fetch.first([source], str(tmp_path / "into"), "x", "v1")
        assert os.listdir(tree)


def test_what_is_no_archive_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.tar.gz").write_text("<html>")
    with pytest.raises(SystemExit, match="does not look like a tar archive"):
        compile_fetch.first([f"{tmp_path}/x.tar.gz"], str(tmp_path / "into"), "x", "v1")


def test_who_is_to_ask_no_index_asks_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "unearth", SimpleNamespace(PackageFinder=lambda **_: pytest.fail("asked")))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_FIND_LINKS", "/nowhere")
    with pytest.raises(compile_download.Unavailable, match="no index"):
        compile_fetch.sdist("vllm", "0.31.0")


def test_archives_of_one_name_are_told_apart(tmp_path: Path) -> None:
    one, two = packed(tmp_path / "a b/v1.tar.gz", "one"), packed(tmp_path / "c/v1.tar.gz", "two")
    folder = str(tmp_path / "into")
    for url, content in ((one, "one"), (two, "two"), (one, "one")):
        tree, _ = compile_fetch.first([url], folder, "x", "v1")
        assert (Path(tree) / "file").read_text() == content
    packed(tmp_path / "c/v1.tar.gz", "three")
    tree, _ = compile_fetch.first([two], folder, "x", "v1")
    assert (Path(tree) / "file").read_text() == "three"


def test_a_mirror_that_does_not_answer_is_left_sooner_than_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(compile_fetch.time, "sleep", lambda _: None)
    sources = ["http://127.0.0.1:1/a.git", "http://127.0.0.1:1/v1.tar.gz", "http://127.0.0.1:1/b.git"]
    with pytest.raises(SystemExit):
        compile_fetch.first(sources, str(tmp_path), "vllm", "v1")
    said = capsys.readouterr().out
    assert said.partition("vllm: http://127.0.0.1:1/a.git")[0].count("trying again") == 2
    assert said.count("going on at 0.0 MB") == 2
    assert said.count("trying again") == 2 + 5


def test_no_mirror_continues_anothers_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = []

    def cut(url: str, part: str) -> tuple[int, str]:
        parts.append(part)
        return 22, "curl: (22) The requested URL returned error: 404"

    monkeypatch.setattr(compile_download, "curl", cut)
    with pytest.raises(SystemExit):
        compile_fetch.first(["https://a/v1.tar.gz", "https://me:x@b/v1.tar.gz"], str(tmp_path), "x", "v1")
    assert len(set(parts)) == 2


def test_a_folder_is_built_in_a_copy_that_keeps_what_was_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "mine"
    source.mkdir()
    (source / "old.cpp").write_text("1")
    (source / "requirements/build").mkdir(parents=True)
    (source / "requirements/build/cpu.txt").write_text("ninja")
    target = str(tmp_path / "copy")
    compile_vllm.working_copy(str(source), target)
    (Path(target) / "build").mkdir()
    (Path(target) / "build/old.o").write_text("object")
    (source / "old.cpp").unlink()
    (source / "new.cpp").write_text("2")
    compile_vllm.working_copy(str(source), target)
    assert sorted(path.name for path in Path(target).iterdir()) == ["build", "new.cpp", "requirements"]
    assert (Path(target) / "requirements/build/cpu.txt").exists()
    assert (Path(target) / "build/old.o").exists()
    assert not (source / "build").exists()


def test_fetch_writes_down_what_it_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compile_vllm.platform, "machine", lambda: "x86_64")
    source, onednn, folder = (tmp_path / name for name in ("vllm", "onednn", "work"))
    (source / "cmake").mkdir(parents=True)
    (source / "cmake/cpu_extension.cmake").write_text(CMAKE)
    (source / "cpu.txt").write_text("ninja\ntorch==2.13.0\n")
    onednn.mkdir()
    (onednn / "CMakeLists.txt").write_text('set(PROJECT_VERSION "3.13.0")')
    library = {"setting": "onednn", "sources": ["/nowhere", str(onednn)], "allow": False}
    told = {"folder": str(folder), "sources": [str(source)], "revision": "", "version": "0.31.0"}
    told |= {"build_requirements": "cpu.txt", "onednn": library, "acl": library, "allow_missing_isa": False}
    told |= compilers(tmp_path / "bin", cc="12.4.0", cxx="12.4.0")
    (tmp_path / "config.json").write_text(json.dumps(told))
    compile_vllm.main("fetch", str(tmp_path / "config.json"))
    fetched = json.loads((folder / "fetched.json").read_text())
    assert fetched["onednn"]["version"] == "3.13.0"
    assert fetched["commit"].startswith("tree:")
    assert (folder / "requirements.txt").read_text() == "ninja\n"
