"""vLLM's `LLM`, told what a service's server is told: questions in, results out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from provisioning.templates.infer_lines import Malformed, MalformedError, Question
else:
    from infer_lines import Malformed, MalformedError, Question

NO_TEMPLATE = "this model has no chat template: name a file with one (arguments: [--chat-template, FILE])"


class Engine:
    """The model, loaded. `arguments` are those of vLLM's server, of which the engine's are taken."""

    def __init__(self, arguments: Sequence[str], sampling: Mapping[str, object]) -> None:
        from vllm import LLM

        options, self._template = _options(arguments)
        self._model = LLM(**{**options, "disable_log_stats": True})
        self._tokenizer: Any = self._model.get_tokenizer()
        self._longest: int = self._model.llm_engine.model_config.max_model_len
        self._sampling = sampling
        if not self._template and not getattr(self._tokenizer, "chat_template", None):
            raise SystemExit(NO_TEMPLATE)

    def answer(self, asked: Sequence[Question | Malformed]) -> list[dict[str, object]]:
        """Give a result for each, in their order; what the model cannot take is told like a malformed line."""
        prepared = [self._prepared(each) for each in asked]
        ready = [each for each in prepared if not isinstance(each, Malformed)]
        prompts: Any = [{"prompt_token_ids": tokens} for _, tokens, _ in ready]
        sampling = [parameters for _, _, parameters in ready]
        outputs = iter(self._model.generate(prompts, sampling, use_tqdm=False) if ready else ())
        return [each.result() if isinstance(each, Malformed) else _result(each[0], next(outputs)) for each in prepared]

    def _prepared(self, asked: Question | Malformed) -> tuple[Question, list[int], Any] | Malformed:
        if isinstance(asked, Malformed):
            return asked
        try:
            return asked, self._tokens(asked), self._parameters(asked)
        except MalformedError as error:
            return Malformed(asked.line, str(error), asked.content)

    def _tokens(self, asked: Question) -> list[int]:
        """The prompt as the chat template has it, in tokens: those that the server makes of it, too."""
        told = {"chat_template": self._template} if self._template else {}
        try:
            text = self._tokenizer.apply_chat_template(
                asked.messages, tokenize=False, add_generation_prompt=True, **told
            )
        except Exception as error:  # a template is a program: one line must not end the others
            raise MalformedError(f"the model's chat template does not take it: {error}") from error
        tokens: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        if len(tokens) >= self._longest:
            raise MalformedError(f"it has {len(tokens)} tokens, and the model takes {self._longest} with the answer's")
        return tokens

    def _parameters(self, asked: Question) -> Any:
        from vllm import SamplingParams

        try:
            return SamplingParams(**{**self._sampling, **asked.sampling})
        except Exception as error:  # of a kind that changes with the release, and that was a ValueError once
            raise MalformedError(f"its sampling parameters are wrong: {error}") from error


def _options(arguments: Iterable[str]) -> tuple[dict[str, Any], str]:
    """The engine's options as the server would read them, and the chat template that is given ("" for the model's).

    The server has options that are none of the engine's, such as its port.
    """
    from vllm.engine.arg_utils import EngineArgs

    try:
        from vllm.utils.argparse_utils import FlexibleArgumentParser
    except ImportError:
        from vllm.utils import FlexibleArgumentParser
    parser = EngineArgs.add_cli_args(FlexibleArgumentParser(allow_abbrev=False))
    parser.add_argument("--chat-template", default="")
    told, _ = parser.parse_known_args(list(arguments))
    template: str = told.chat_template
    if os.path.isfile(template):
        with open(template, encoding="utf-8") as file:
            template = file.read()
    return vars(EngineArgs.from_cli_args(told)), template


def _result(asked: Question, output: Any) -> dict[str, object]:
    (best, *_) = output.outputs
    return {
        "line": asked.line,
        **asked.names,
        "answer": best.text,
        "finish_reason": best.finish_reason,
        "prompt_tokens": len(output.prompt_token_ids),
        "completion_tokens": len(best.token_ids),
    }
