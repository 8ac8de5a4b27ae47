"""Strings that must match a pattern, with words for people where they do not; and those that settings are made of."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from provisioning.env_file import SHELLS_OWN

DEFAULT_MINICONDA = "py310_26.5.3-1"


@dataclass(frozen=True)
class Matching:
    """A string that matches `pattern` as a whole; `expected` says so in words (editors show them too)."""

    pattern: str
    expected: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The string's own schema, with the pattern checked after it."""
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """`patternErrorMessage` is what editors with yaml-language-server show."""
        words = {"pattern": f"^({self.pattern})$", "patternErrorMessage": f"should be {self.expected}"}
        return {**handler(schema), **words}

    def _check(self, value: str) -> str:
        # A lone surrogate stands for a byte that is no UTF-8, as in an option of the command line.
        if not re.fullmatch(self.pattern, value) or re.search("[\ud800-\udfff]", value):
            raise PydanticCustomError("pattern", "should be {expected}", {"expected": self.expected})
        return value


Line = Annotated[str, Matching(r"[^\x00-\x1f\x7f-\x9f]+", "text on one line, without control characters")]
# Where a value may hold several lines: tabs and newlines, and nothing else below the space.
Text = Annotated[str, Matching(r"[^\x00-\x08\x0b-\x1f\x7f-\x9f]*", "text without control characters")]
Name = Annotated[str, Matching(r"[A-Za-z0-9][A-Za-z0-9._-]*", "a name of letters, digits, '.', '_' and '-'")]
AccountName = Annotated[
    str,
    Matching(r"(?!root$)[a-z_][a-z0-9_-]*", '"auto", or the name of an account other than root, which never serves'),
]
VariableName = Annotated[str, Matching(r"[A-Za-z_][A-Za-z0-9_]*", "the name of an environment variable")]
# Editors are told the last pattern, so it holds the first.
ServiceVariable = Annotated[
    VariableName,
    Matching(
        rf"(?!({'|'.join(sorted(SHELLS_OWN))})$)[A-Za-z_][A-Za-z0-9_]*",
        f"the name of an environment variable that is not the shell's own ({', '.join(sorted(SHELLS_OWN))})",
    ),
]
HostPath = Annotated[str, Matching(r"(/|~/|~$)[^\x00-\x1f\x7f-\x9f]*", "an absolute path, or one that begins with ~/")]
# Its gcc is looked for under the same name: that of clang++ would be clangcc.
GxxPath = Annotated[
    str,
    Matching(
        r"(/|~/)([^\x00-\x1f\x7f-\x9f]*/)?(?!clang)[^/\x00-\x1f\x7f-\x9f]*g\+\+[^/\x00-\x1f\x7f-\x9f]*",
        "the path of a g++, absolute or from ~/",
    ),
]
Url = Annotated[str, Matching(r"(https?|file)://[!-~]+", "a URL (http, https or file)")]
AptMirror = Annotated[str, Matching(r"none|tuna|https?://[!-~]+", '"none", "tuna" or an http(s) URL')]
PipIndex = Annotated[str, Matching(r"host|tuna|none|(https?|file)://[!-~]+", '"host", "tuna", "none" or a URL')]
# pip parts several at white space, uv at commas.
PackagePlace = Annotated[
    str, Matching(r"[^\s,\x00-\x1f\x7f-\x9f]+", "a folder or a URL, without white space and commas")
]
PackageName = Annotated[str, Matching(r"[a-z0-9][a-z0-9+.-]+(:[a-z0-9]+)?", "the name of a Debian package")]
InstallerVersion = Annotated[
    str,
    Matching(
        r"latest|py[0-9]{1,4}_[0-9][0-9.]{0,20}-[0-9]{1,4}", f'"latest", or a version such as "{DEFAULT_MINICONDA}"'
    ),
]
PythonVersion = Annotated[str, Matching(r"3\.[0-9]{1,4}(\.[0-9]{1,4})?", 'a version of Python such as "3.10"')]
VllmVersion = Annotated[
    str, Matching(r"auto|[0-9]{1,9}(\.[0-9]{1,9}){1,9}[A-Za-z0-9.+]{0,60}", '"auto", or a version such as "0.31.0"')
]
CpuList = Annotated[
    str,
    Matching(
        r"auto|[0-9]{1,6}(-[0-9]{1,6})?([,|][0-9]{1,6}(-[0-9]{1,6})?)*",
        '"auto", or CPUs such as "0-7" ("0-7|8-15" for two ranks)',
    ),
]
_TREE = r"(https?|ssh|git|file)://[!-~]+|[A-Za-z0-9._-]+@[A-Za-z0-9._-]+:[!-~]+|(/|~/)[^\x00-\x1f\x7f-\x9f]*"
TreeSource = Annotated[str, Matching(_TREE, "a git URL, the URL of a tarball, or a folder on the host")]
Source = Annotated[str, Matching(rf"sdist|{_TREE}", '"sdist", a git URL, or a folder on the host')]
CmakeArguments = Annotated[
    str,
    Matching(
        r"""[^\x00-\x1f"'\x7f-\x9f]+""", "arguments for cmake without quotes: vLLM's build parts them at each space"
    ),
]
Revision = Annotated[str, Matching(r"(?!-)[A-Za-z0-9._/+-]+", "a tag, a branch or a commit")]
GpuList = Annotated[str, Matching(r"auto|[0-9]{1,4}(,[0-9]{1,4})*", '"auto", or numbers of GPUs such as "0" or "0,1"')]
Distribution = Annotated[
    str, Matching(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", "the name of a Python package, without a version")
]
Address = Annotated[str, Matching(r"(?!-)[A-Za-z0-9.:_-]+", "an IP address or a host name")]
Rate = Annotated[
    str,
    Matching(r"(?![0.]+[KMGkmg])[0-9]{1,6}(\.[0-9]{1,3})?[KMGkmg]", 'bytes a second such as "500K", "5M" or "1.5G"'),
]
"""With curl's suffixes, but decimal, as progress is told: 5M is 5,000,000 bytes a second (curl's M is 1,048,576)."""
Percentage = Annotated[str, Matching(r"([1-9]?[0-9]|100)%", 'a percentage such as "25%"')]
HostCount = Annotated[int, Field(ge=1)] | Annotated[str, Matching(r"([1-9][0-9]?|100)%", 'a percentage such as "25%"')]
# The longest that Python's sockets wait is 2^31 milliseconds.
Seconds = Annotated[int, Field(ge=1, le=1_000_000)]
WebUrl = Annotated[str, Matching(r"https?://[!-~]+", "a URL (http or https)")]
ModelId = Annotated[
    str,
    Matching(
        r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)+", "OWNER/NAME, as in the address of the model's page"
    ),
]
Sha256 = Annotated[str, Matching(r"[0-9A-Fa-f]{64}", "a SHA-256: 64 hexadecimal digits")]
RelativePath = Annotated[
    str,
    Matching(
        r"(?!(.*/)?(\.|\.\.|\.git|\.vllm-provisioning)?(/|$))[^/\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*",
        "a path within the model's folder",
    ),
]


def bytes_per_second(rate: str) -> int:
    """A `Rate` as a number, which is at least 1."""
    number, suffix = Decimal(rate[:-1]), rate[-1].upper()
    return int(number * 1000 ** " KMG".index(suffix))
