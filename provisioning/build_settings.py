"""How vLLM is had: which release, for which device, from a wheel or from source."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import Self

from provisioning.serve_settings import FromList, Section
from provisioning.texts import (
    CmakeArguments,
    Distribution,
    GxxPath,
    Line,
    Name,
    Revision,
    Source,
    TreeSource,
    Url,
    VllmVersion,
)

VLLM_GIT = "https://github.com/vllm-project/vllm.git"
ONEDNN = (
    "https://github.com/uxlfoundation/oneDNN.git",
    "https://github.com/uxlfoundation/oneDNN/archive/refs/tags/{tag}.tar.gz",
)
ARM_COMPUTE = ("https://github.com/ARM-software/ComputeLibrary.git",)


_LIBRARY = "Git URLs, tarballs (URLs or paths; {tag} is the wanted tag) or folders on the host, tried in order."
_ALLOW = "Take a source that is older or newer than the wanted tag."
Sources = Annotated[tuple[TreeSource, ...], FromList, Field(min_length=1)]


class OneDnn(Section):
    """oneDNN, which vLLM's build would clone from GitHub; the wanted tag stands in vLLM's cmake file."""

    sources: Sources = Field(default=ONEDNN, description=_LIBRARY)
    allow: bool = Field(default=False, description=_ALLOW)


class ArmCompute(Section):
    """The Arm Compute Library, likewise, on ARM."""

    sources: Sources = Field(default=ARM_COMPUTE, description=_LIBRARY)
    allow: bool = Field(default=False, description=_ALLOW)


class Build(Section):
    """vLLM itself: which release, for which device, and how it is compiled."""

    device: Literal["cpu", "cuda"] = Field(default="cpu", description="What vLLM computes on: cpu or cuda.")
    method: Literal["auto", "wheel", "source"] = Field(
        default="auto",
        description="How vLLM is had: wheel (prebuilt), source (compiled), or auto (wheel, else source).",
    )
    vllm: VllmVersion = Field(
        default="auto", description="Version of vLLM, in quotes; auto follows from that of Python."
    )
    wheel: Line | None = Field(
        default=None, description="URL, or path on the host, of vLLM's wheel; null looks in the index."
    )
    exclude: Annotated[tuple[Distribution, ...], FromList] = Field(
        default=(), description="Python packages that vLLM asks for and that are not installed."
    )
    torch_indexes: Annotated[tuple[Url, ...], FromList, Field(min_length=1)] = Field(
        default=("https://mirror.nju.edu.cn/pytorch/whl/cpu", "https://download.pytorch.org/whl/cpu"),
        description="Indexes of torch for CPUs, tried in this order.",
    )
    sources: Annotated[tuple[Source, ...], FromList, Field(min_length=1)] = Field(
        default=("sdist", VLLM_GIT),
        description="Where source comes from: sdist (the package index), git URLs, or folders, tried in order.",
    )
    revision: Revision | None = Field(
        default=None, description="Tag or commit to take from git; null means the tag of the version."
    )
    onednn: OneDnn = Field(default=OneDnn(), description="oneDNN, for compiling.")
    arm_compute: ArmCompute = Field(default=ArmCompute(), description="Arm Compute Library, for compiling on ARM.")
    on: Name | Literal["auto"] = Field(
        default="auto", description="Host that compiles for those like it; auto is the first of each kind."
    )
    jobs: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        default="auto", description="Files compiled at once; auto follows from cores and memory."
    )
    cxx: GxxPath | None = Field(
        default=None, description="g++ to compile with, its gcc beside it; null takes that of compiler.version."
    )
    cmake_args: CmakeArguments | None = Field(
        default=None, description="More arguments for cmake, such as -DENABLE_X=ON."
    )
    ccache: bool = Field(default=True, description="Keep compiled files for the next build (ccache).")
    allow_missing_isa: bool = Field(
        default=False, description="Compile with a compiler that drops AVX512-BF16 or AMX kernels."
    )

    @model_validator(mode="before")
    @classmethod
    def _read_on(cls, values: Any) -> Any:
        """YAML 1.1 takes a plain `on:` for the key true."""
        return (
            {"on" if key is True else key: value for key, value in values.items()}
            if isinstance(values, dict)
            else values
        )

    @model_validator(mode="after")
    def _source_is_for_cpus(self) -> Self:
        if self.method == "source" and self.device == "cuda":
            raise PydanticCustomError("conflict", '"source" is for CPUs; for device cuda the method is "wheel"')
        if self.method == "source" and self.wheel:
            raise PydanticCustomError("conflict", '"method: source" and "wheel" exclude each other')
        return self
