"""The part of vLLM's interface that its proof uses; transformers generates."""

import os

__version__ = "0.31.0+cpu"


class SamplingParams:
    def __init__(self, **options):
        self.max_tokens = options["max_tokens"]


class ModelRegistry:
    models = {}


class _Answer:
    def __init__(self, tokens):
        self.outputs = [type("Output", (), {"token_ids": tokens})]


class LLM:
    def __init__(self, folder, **options):
        from transformers import AutoModelForCausalLM

        self.model = AutoModelForCausalLM.from_pretrained(folder).eval()

    def generate(self, prompts, sampling):
        import torch

        answers = []
        for prompt in prompts:
            tokens = prompt["prompt_token_ids"]
            done = self.model.generate(
                torch.tensor([tokens]), max_new_tokens=sampling.max_tokens, do_sample=False, eos_token_id=None
            )
            found = done[0, len(tokens) :].tolist()
            answers.append(_Answer(found[::-1] if os.path.exists("/srv/wrong") else found))
        return answers
