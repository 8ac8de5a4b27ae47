"""The demo model's questions, its training text and what it writes: everything that needs no torch."""

from __future__ import annotations

import ast
import random
import subprocess
import sys
from pathlib import Path

import jinja2
import pytest

from provisioning.clients import demo_model


def test_it_is_imported_without_torch() -> None:
    code = (
        "import sys; import provisioning.clients.demo_model as model; "
        "sys.exit(not model.QUESTIONS or any(name in sys.modules for name in ('torch', 'transformers', 'tokenizers')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_it_stands_alone() -> None:
    tree = ast.parse(Path(demo_model.__file__).read_text("utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    brought = {"torch", "transformers", "tokenizers"}
    assert {name.partition(".")[0] for name in names} <= brought | set(sys.stdlib_module_names)


def test_the_sky_is_explained_in_two_sentences() -> None:
    answer = demo_model.QUESTIONS["天空为什么是蓝色的？"]
    assert "瑞利散射" in answer
    assert answer.count("。") == 2
    assert answer.endswith("。")


def test_every_question_has_paraphrases_and_none_is_shared() -> None:
    assert set(demo_model.PARAPHRASES) == set(demo_model.QUESTIONS)
    assert len(set(demo_model.ALL_FORMS)) == len(demo_model.ALL_FORMS)
    assert not set(demo_model.ALL_FORMS) & set(demo_model.STRANGERS)


def test_training_text_is_the_same_each_time() -> None:
    first, second = random.Random(1), random.Random(1)
    for _ in range(200):
        assert demo_model.conversation(first) == demo_model.conversation(second)


def test_only_known_answers_are_taught() -> None:
    chance = random.Random(2)
    known = {*demo_model.QUESTIONS.values(), demo_model.UNKNOWN}
    for _ in range(500):
        turns, _system = demo_model.conversation(chance)
        assert 1 <= len(turns) <= 3
        assert all(turn.question and turn.answer in known for turn in turns)


def test_a_distractor_is_never_a_known_question() -> None:
    chance = random.Random(3)
    known = {text.lower().rstrip("？?.") for text in demo_model.ALL_FORMS}
    drawn = {demo_model.distractor(chance).lower().rstrip("？?.") for _ in range(5000)}
    assert not drawn & known


@pytest.mark.parametrize("system", ["", "You are a helpful assistant."])
def test_training_text_is_what_the_chat_template_makes(system: str) -> None:
    turn = demo_model.Turn("你好", "你好！")
    messages = [{"role": "system", "content": system}] if system else []
    messages += [{"role": "user", "content": "你好"}]
    template = jinja2.Environment(autoescape=False, keep_trailing_newline=True).from_string(demo_model.CHAT_TEMPLATE)
    prompt = template.render(messages=messages, add_generation_prompt=True)
    whole = template.render(messages=[*messages, {"role": "assistant", "content": "你好！"}])
    pieces = list(demo_model.render([turn], system))
    assert "".join(text for text, _ in pieces) == whole
    assert whole.startswith(prompt)
    assert "".join(text for text, said in pieces[:-1] if not said) == prompt
    assert [text for text, said in pieces if said] == ["你好！<|im_end|>"]


def test_the_learning_rate_rises_and_falls() -> None:
    rates = [demo_model.rate(step) for step in range(1, demo_model.MOST_STEPS + 1)]
    assert max(rates) <= demo_model.PEAK_RATE
    assert rates[0] < rates[9] > rates[demo_model.STEPS - 1] == pytest.approx(rates[-1], rel=0.05)


@pytest.mark.parametrize("arguments", [[], ["one", "two"]])
def test_wrong_arguments_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert demo_model.main(arguments) == 2
    assert "usage" in capsys.readouterr().err
