"""The files of a run on this machine: what is asked, the answers, the lines that have none, and what these came from.

`OUTPUT.malformed` and `OUTPUT.run` lie beside OUTPUT. All are written beside, then renamed, OUTPUT last: where it is,
the others are as well.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

from pydantic import BaseModel, ValidationError

from provisioning.asking import STDIN
from provisioning.errors import ConfigurationError, ProvisioningError
from provisioning.host import quote
from provisioning.local_path import local_path
from provisioning.whole_file import write_whole

SHOWN = 10
"""Lines without an answer that are named in an error."""


class Run(BaseModel):
    """What an output came from, and what came of it."""

    key: str
    """Hash of the input and of all that the answers depend on."""
    input: str
    asked: str
    """`HOST/SERVICE`, and the model."""
    answered: int = 0
    malformed: int = 0


@dataclass(frozen=True)
class Files:
    """Where a run reads and writes."""

    input: Path
    output: Path
    name: str
    """What people call the input."""

    @property
    def malformed(self) -> Path:
        """Lines that could not be answered, each with its number and why."""
        return self.output.with_name(f"{self.output.name}.malformed")

    @property
    def record(self) -> Path:
        """The `Run`."""
        return self.output.with_name(f"{self.output.name}.run")

    def require(self) -> None:
        """Raise `ConfigurationError` where the input cannot be read, or the output not be written."""
        if not self.input.is_file() or not os.access(self.input, os.R_OK):
            raise ConfigurationError(
                f"--input: {self.name} is not a file that can be read", remedy="Standard input is --input -"
            )
        if str(self.output) == STDIN:
            raise ConfigurationError(
                "--output: answers go to a file", cause="What was cut off is gone on with by its name."
            )
        folder = self.output.parent
        if not folder.is_dir():
            raise ConfigurationError(
                f"--output: there is no folder {folder}", remedy=f"Make it: mkdir -p {quote(str(folder))}"
            )
        if not os.access(folder, os.W_OK | os.X_OK):
            raise ConfigurationError(f"--output: nothing can be written into {folder.absolute()}")
        if self.output.exists() and (not self.output.is_file() or self.output.samefile(self.input)):
            raise ConfigurationError(f"--output: {self.output} is the input itself, or not a file")

    def finished(self, key: str) -> bool:
        """Whether the output is that of this run. Raises `ConfigurationError` where it is another's."""
        if not self.output.exists():
            return False
        run = self._recorded()
        if run and run.key == key:
            return True
        raise ConfigurationError(
            f"--output: {self.output} is there, and not from this input with these settings on this host",
            cause=f"It came from {run.input}, asked of {run.asked}."
            if run
            else f"There is no {self.record} beside it.",
            remedy="Name another file; or delete that one, to have it made anew.",
        )

    def _recorded(self) -> Run | None:
        try:
            return Run.model_validate_json(self.record.read_bytes())
        except (OSError, ValidationError):
            return None

    @contextmanager
    def taking(self, run: Run) -> Iterator[Taker]:
        """Give what takes the results of a run; the files are there at the end of the context, or not at all."""
        news = [path.with_name(f"{path.name}.new") for path in (self.malformed, self.output)]
        try:
            with news[0].open("wb") as malformed, news[1].open("wb") as output:
                yield (taker := Taker(output, malformed))
                for file in (malformed, output):
                    file.flush()
                    os.fsync(file.fileno())
            counted = run.model_copy(update={"answered": taker.answered, "malformed": taker.malformed})
            write_whole(self.record, counted.model_dump_json(indent=2) + "\n")
            news[0].replace(self.malformed) if taker.malformed else self.malformed.unlink(missing_ok=True)
            news[1].replace(self.output)
        except OSError as error:
            raise ProvisioningError(f"{self.output} cannot be written", cause=error.strerror or str(error)) from error
        finally:
            for new in news:
                new.unlink(missing_ok=True)

    def conclude(self) -> Run:
        """Give the finished run. Raises `ProvisioningError`, naming the first of them, where lines have no answer."""
        run = self._recorded()
        assert run is not None, "it was written before the output"
        if not run.malformed:
            return run
        with self.malformed.open(encoding="utf-8") as file:
            rows = [json.loads(line) for line in islice(file, SHOWN)]
        more = run.malformed - len(rows)
        raise ProvisioningError(
            f"{run.malformed} of {run.answered + run.malformed} lines of {run.input} have no answer",
            cause="\n".join(
                [f"line {row['line']}: {row['error']}" for row in rows] + ([f"and {more} more"] * bool(more))
            ),
            remedy=f"They are kept in {self.malformed}; the other {run.answered} have their answers in {self.output}.",
        )


@contextmanager
def files(input: str, output: str) -> Iterator[Files]:
    """Give the files that were told; what standard input says (`-`) is in one meanwhile."""
    there = local_path(output)
    if input != STDIN:
        yield Files(local_path(input), there, input)
        return
    with tempfile.NamedTemporaryFile(prefix="infer-", suffix=".jsonl") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
        file.flush()
        yield Files(Path(file.name), there, "standard input")


class Taker:
    """Takes results in pieces, and puts answers here, and lines without one there."""

    def __init__(self, output: IO[bytes], malformed: IO[bytes]) -> None:
        self.answered = self.malformed = 0
        self._output, self._malformed, self._rest = output, malformed, b""

    def __call__(self, piece: bytes) -> None:
        """Take what has come."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            if "error" in json.loads(line):
                self.malformed += 1
                self._malformed.write(line + b"\n")
            else:
                self.answered += 1
                self._output.write(line + b"\n")
