"""Results outlive whatever cuts their writing off: every line has one, and none has two."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.errors import ConfigurationError, ProvisioningError
from provisioning.inference.files import Files, Run
from provisioning.inference.files import files as files_of
from provisioning.templates.infer_results import Results

RUN = Run(key="k", input="asked.jsonl", asked="web1/demo, demo")


def _append(results: Results, of: int, batch: int) -> None:
    """Go on behind the last result to the end, in batches."""
    left: Iterator[int] = iter(range(results.last + 1, of + 1))
    while numbers := list(islice(left, batch)):
        results.append({"line": number, "answer": f"天空 {number}"} for number in numbers)


@given(st.integers(0, 12), st.integers(1, 5), st.lists(st.floats(0, 1), max_size=4), st.binary(max_size=9))
def test_wherever_it_is_cut_off_each_line_has_one_result(of: int, batch: int, cuts: list[float], junk: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results.jsonl"
        for share in cuts:
            results = Results(path)
            _append(results, of, batch)
            results.close()
            whole = path.read_bytes()
            path.write_bytes(whole[: round(share * len(whole))] + junk)
        results = Results(path)
        _append(results, of, batch)
        results.close()
        rows = [json.loads(line) for line in path.read_bytes().splitlines()]
        assert [row["line"] for row in rows] == list(range(1, of + 1))
        assert results.done == of


def test_what_a_power_failure_leaves_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_bytes(b'{"line": 1}\n{"line": 2}\n' + bytes(40) + b"\n")
    results = Results(path)
    assert (results.done, results.last) == (2, 2)
    assert path.read_bytes() == b'{"line": 1}\n{"line": 2}\n'


@pytest.fixture
def files(tmp_path: Path) -> Files:
    (tmp_path / "asked.jsonl").write_text("{}\n")
    return _files(tmp_path / "asked.jsonl", tmp_path / "answers.jsonl")


def _files(input: Path, output: Path) -> Files:
    return Files(input, output, str(input))


def _take(files: Files, *pieces: bytes) -> None:
    with files.taking(RUN) as take:
        for piece in pieces:
            take(piece)


def test_answers_are_told_from_lines_without_one(files: Files) -> None:
    assert not files.finished("k")
    _take(files, b'{"line": 1, "ans', b'wer": "a"}\n{"line": 2, "error": "it has no prompt"}\n')
    assert files.output.read_text() == '{"line": 1, "answer": "a"}\n'
    assert files.finished("k")
    with pytest.raises(
        ProvisioningError, match=r"1 of 2 lines of asked\.jsonl have no answer\nline 2: it has no prompt"
    ):
        files.conclude()
    names = {path.name for path in files.output.parent.iterdir()}
    assert names == {"asked.jsonl", "answers.jsonl", "answers.jsonl.malformed", "answers.jsonl.run"}


def test_another_output_is_left_alone(files: Files) -> None:
    files.output.write_text("mine\n")
    with pytest.raises(ConfigurationError, match=r"no .*answers.jsonl.run beside it"):
        files.finished("k")
    files.output.unlink()
    _take(files)
    assert files.conclude().answered == 0
    with pytest.raises(ConfigurationError, match=r"It came from asked\.jsonl, asked of web1/demo, demo"):
        files.finished("other")


def test_what_was_cut_off_leaves_nothing(files: Files) -> None:
    with pytest.raises(ValueError, match="Expecting"):
        _take(files, b'{"line": 1, "answer": "a"}\n', b"no result\n")
    assert [path.name for path in files.output.parent.iterdir()] == ["asked.jsonl"]


def test_mistakes_are_told_before_any_connection(files: Files, tmp_path: Path) -> None:
    files.require()
    for wrong, words in (
        (_files(tmp_path / "none", files.output), "Standard input is --input -"),
        (_files(files.input, files.input), "is the input itself"),
        (_files(files.input, tmp_path), "or not a file"),
        (_files(files.input, Path("-")), "answers go to a file"),
        (_files(files.input, tmp_path / "none" / "answers.jsonl"), "there is no folder .*\nMake it: mkdir -p "),
    ):
        with pytest.raises(ConfigurationError, match=words):
            wrong.require()


def test_standard_input_is_in_a_file_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "asked.jsonl").write_bytes(b'{"prompt": "\xff"}')
    with (tmp_path / "asked.jsonl").open() as piped:
        monkeypatch.setattr("sys.stdin", piped)
        with files_of("-", "answers.jsonl") as files:
            assert files.name == "standard input"
            assert files.input.read_bytes() == b'{"prompt": "\xff"}'
    assert not files.input.exists()
