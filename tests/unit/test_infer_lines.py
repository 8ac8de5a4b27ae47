"""What a line may hold, and what is said of one that cannot be answered."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.templates import infer_lines
from provisioning.templates.infer_lines import Malformed, Question, count, read

USER = {"role": "user", "content": "天空?"}


def _read(*lines: bytes, system: str = "", after: int = 0) -> list[Question | Malformed]:
    return list(read(io.BytesIO(b"\n".join(lines)), system, after))


@pytest.mark.parametrize(
    ("line", "messages", "sampling", "names"),
    [
        ({"prompt": "天空?"}, [USER], {}, {}),
        ({"messages": [USER], "id": 7, "topic": "sky"}, [USER], {}, {"id": 7}),
        ({"prompt": "天空?", "temperature": 0, "max_tokens": 3}, [USER], {"temperature": 0, "max_tokens": 3}, {}),
        ({"custom_id": "a", "body": {"messages": [USER], "seed": 1}}, [USER], {"seed": 1}, {"custom_id": "a"}),
        ({"prompt": "天空?", "ignore_eos": True, "top_p": None}, [USER], {"ignore_eos": True}, {}),
        (
            {"custom_id": "a", "body": {"messages": [USER], "max_completion_tokens": 5}},
            [USER],
            {"max_tokens": 5},
            {"custom_id": "a"},
        ),
        ({"prompt": "天空?", "stop": "。", "n": 1}, [USER], {"stop": ["。"]}, {}),
        ({"prompt": "天空?", "stop": ["a", "b"]}, [USER], {"stop": ["a", "b"]}, {}),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "天空?"}]}]}, [USER], {}, {}),
    ],
)
def test_what_a_line_asks(line: object, messages: object, sampling: object, names: object) -> None:
    (found,) = _read(json.dumps(line).encode())
    assert isinstance(found, Question)
    assert (found.messages, found.sampling, found.names) == (messages, sampling, names)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{", "it is not JSON: Expecting property name"),
        (b"\xff", "it is not UTF-8 (byte 1)"),
        (b"[" * 100000, "it is not JSON"),
        (b'{"prompt": "a", "top_k": NaN}', "it is not JSON that can be taken"),
        (b'{"prompt": "\\ud800"}', "half a character"),
        (b"[1]", "it is not a JSON object"),
        (b'{"text": "a"}', "it has no prompt"),
        (b'{"prompt": "a", "messages": []}', "both"),
        (b'{"prompt": ""}', "`prompt` is empty"),
        (b'{"prompt": 5}', "`prompt` is not a text"),
        (b'{"messages": []}', "`messages` is not a list of messages"),
        (b'{"messages": [3]}', "message 1 is not an object"),
        (b'{"messages": [{"role": "user"}]}', "the content of message 1 is not a text"),
        (b'{"body": 3}', "`body` is not an object"),
        (b'{"prompt": "a", "max_tokens": 1.5}', "`max_tokens` is not a whole number"),
        (b'{"prompt": "a", "temperature": true}', "`temperature` is not a number"),
        (b'{"prompt": "a", "ignore_eos": 1}', "`ignore_eos` is not true or false"),
        (b'{"prompt": "a", "seed": 9223372036854775808}', "`seed` is too large a number"),
        (b'{"prompt": "a", "stop": ["b", 1]}', "`stop` is not a text"),
        (b'{"prompt": "a", "n": 2}', "`n` is not 1"),
        (b'{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}', "a part that is no text"),
    ],
)
def test_malformed_lines_are_told_with_number_and_cause(line: bytes, words: str) -> None:
    first, found, last = _read(b'{"prompt": "a"}', line, b'{"prompt": "b"}')
    assert isinstance(found, Malformed)
    assert found.line == 2
    assert words in found.error
    assert found.content == line.decode(errors="replace")
    assert isinstance(first, Question)
    assert isinstance(last, Question)


def test_a_line_without_an_end_is_not_taken_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(infer_lines, "LONGEST", 1 << 20)
    found, last = _read(b'{"prompt": "' + b"a" * (5 << 20), b'{"prompt": "b"}')
    assert isinstance(found, Malformed)
    assert found.error == "it is longer than 1 MiB"
    assert len(found.content) < 2 << 20
    assert last.line == 2


def test_blank_lines_and_a_mark_at_the_beginning_are_nothing() -> None:
    lines = (b'\xef\xbb\xbf{"prompt": "a"}\r', b"", b"  \r", b'{"prompt": "b"}')
    assert [type(each) for each in _read(*lines)] == [Question, Question]
    assert [each.line for each in _read(*lines)] == [1, 4]
    assert count(io.BytesIO(b"\n".join(lines))) == 2


def test_a_system_message_goes_first_unless_there_is_one() -> None:
    own = {"role": "system", "content": "Rhyme."}
    first, second = _read(b'{"prompt": "a"}', json.dumps({"messages": [own, USER]}).encode(), system="Be brief.")
    assert isinstance(first, Question)
    assert isinstance(second, Question)
    assert first.messages[0] == {"role": "system", "content": "Be brief."}
    assert second.messages == [own, USER]


@given(st.lists(st.binary(max_size=20).filter(lambda raw: b"\n" not in raw)), st.integers(0, 9))
def test_whatever_the_bytes_every_line_is_told_of_once(lines: list[bytes], after: int) -> None:
    numbers = [number for number, raw in enumerate(lines, 1) if raw.strip()]
    assert [each.line for each in _read(*lines)] == numbers
    assert [each.line for each in _read(*lines, after=after)] == [number for number in numbers if number > after]
    assert count(io.BytesIO(b"\n".join(lines))) == len(numbers)
