"""Answer one question, or a file of them; begun by `infer.py` in vLLM's environment, with the server's arguments.

Standard input is a JSON object: `sampling`, `system`, and `prompt`, whose result is printed as `result {json}`; or
`folder` and `batch`: each line of its input.jsonl gets a line in its results.jsonl. So many lines are asked at once,
for vLLM works on them together, and saved together; a run that was cut off goes on behind the last that was saved.
Where it stands is printed as `progress {json}`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from provisioning.templates import infer_lines as lines
    from provisioning.templates.infer_engine import Engine
    from provisioning.templates.infer_results import Results
else:
    import infer_lines as lines
    from infer_results import Results

PAUSE = 1.0
"""Seconds between two lines of progress."""


def one(task: dict[str, Any], arguments: list[str]) -> None:
    """Answer one question."""
    system = [{"role": "system", "content": task["system"]}] if task["system"] else []
    question = lines.Question(1, [*system, {"role": "user", "content": task["prompt"]}])
    (result,) = _engine(task, arguments).answer([question])
    print("result " + json.dumps(result), flush=True)


def every(task: dict[str, Any], arguments: list[str]) -> None:
    """Answer every line that has no result yet."""
    folder = Path(task["folder"])
    with (folder / "input.jsonl").open("rb") as file:
        of = lines.count(file)
        file.seek(0)
        results = Results(folder / "results.jsonl")
        asked = lines.read(file, task["system"], results.last)
        progress = Progress(results.done, of)
        # vLLM takes long to start: not where nothing is left to ask.
        engine = None
        while batch := list(islice(asked, task["batch"])):
            if engine is None and any(isinstance(each, lines.Question) for each in batch):
                engine = _engine(task, arguments)
                progress.begin()
            answers = engine.answer(batch) if engine else [each.result() for each in _malformed(batch)]
            results.append(answers)
            progress.add(answers)
        progress.say()


def _engine(task: dict[str, Any], arguments: list[str]) -> Engine:
    """vLLM, which takes seconds to import."""
    if not TYPE_CHECKING:
        from infer_engine import Engine
    return Engine(arguments, task["sampling"])


def _malformed(batch: list[lines.Question | lines.Malformed]) -> Iterator[lines.Malformed]:
    return (each for each in batch if isinstance(each, lines.Malformed))


class Progress:
    """Says how many lines have a result, how many tokens were generated, and in what time."""

    def __init__(self, done: int, of: int) -> None:
        self._done, self._of, self._tokens, self._before = done, of, 0, done
        self._said = 0.0
        self.begin()

    def begin(self) -> None:
        """Time counts from now, for what comes from now on."""
        self._began, self._before = time.monotonic(), self._done

    def add(self, results: list[dict[str, Any]]) -> None:
        """Count results, and say so now and then."""
        self._done += len(results)
        self._tokens += sum(result.get("completion_tokens", 0) for result in results)
        if time.monotonic() - self._said > PAUSE:
            self.say()

    def say(self) -> None:
        """Print where it stands."""
        self._said = time.monotonic()
        seconds = round(self._said - self._began, 1)
        stands = {"done": self._done, "of": self._of, "new": self._done - self._before}
        print("progress " + json.dumps({**stands, "tokens": self._tokens, "seconds": seconds}), flush=True)


if __name__ == "__main__":
    given = json.load(sys.stdin)
    (one if "prompt" in given else every)(given, sys.argv[1:])
