"""Reads the variables that vLLM's own setup.py reads, and runs cmake and ninja as it does."""

import os
import subprocess
import sys
from pathlib import Path

import torch
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

assert torch.version.cuda is None, "a build of torch for CUDA was pulled in"
assert os.environ["VLLM_TARGET_DEVICE"] == "cpu"
ROOT = Path(__file__).parent.absolute()


class CMakeBuild(build_ext):
    def build_extensions(self):
        os.makedirs(self.build_temp, exist_ok=True)
        configure = ["cmake", str(ROOT), "-G", "Ninja", "-DCMAKE_BUILD_TYPE=RelWithDebInfo"]
        configure.append(f"-DPython_EXECUTABLE={sys.executable}")
        if subprocess.run(["which", "ccache"], capture_output=True).returncode == 0:
            configure.append("-DCMAKE_CXX_COMPILER_LAUNCHER=ccache")
        subprocess.check_call([*configure, *os.environ.get("CMAKE_ARGS", "").split()], cwd=self.build_temp)
        subprocess.check_call(["cmake", "--build", ".", f"-j={os.environ['MAX_JOBS']}"], cwd=self.build_temp)
        for extension in self.extensions:
            target = Path(self.get_ext_fullpath(extension.name)).parent.absolute()
            target.mkdir(parents=True, exist_ok=True)
            name = extension.name.rpartition(".")[2]
            self.copy_file(f"{self.build_temp}/{name}.abi3.so", str(target / f"{name}.abi3.so"))


requirements = (ROOT / "requirements/cpu.txt").read_text().split("\n")
setup(
    version=os.environ["SETUPTOOLS_SCM_PRETEND_VERSION"] + "+cpu",
    packages=["vllm", "vllm.platforms", "vllm.entrypoints", "vllm.entrypoints.openai"],
    ext_modules=[Extension(f"vllm.{name}", sources=[], py_limited_api=True) for name in ("_C", "_C_AVX512", "_C_AVX2")],
    cmdclass={"build_ext": CMakeBuild},
    install_requires=[each for each in requirements if each],
)
