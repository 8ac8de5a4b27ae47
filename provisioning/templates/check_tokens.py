"""Proves that a compiled vLLM computes rightly here: for a small model of random weights its greedy tokens equal those
of transformers' own float32 run on this host. Says which of the compiled variants is active.
"""

import os
import re
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from provisioning.templates import check_vllm
else:
    import check_vllm

SETTINGS = {"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "VLLM_LOGGING_LEVEL": "WARNING"}
# The engine in this process: it has two others, by default, that import all of it again.
SETTINGS |= {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
PROMPTS = [[11, 23, 5, 42, 7, 91, 3, 64], [100, 3, 3, 17, 58, 201]]
TOKENS = 16
ARCHITECTURE = "Qwen2ForCausalLM"


def make_model(folder: str) -> list[list[int]]:
    """Save a small model, and give the tokens that transformers generates with it."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    heads = {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    sizes = {"vocab_size": 256, "hidden_size": 128, "intermediate_size": 256, "max_position_embeddings": 128}
    # Wide weights: the largest logit stands clear of the second, so that rounding decides nothing.
    config = Qwen2Config(**heads, **sizes, initializer_range=0.3, tie_word_embeddings=False)
    config.eos_token_id = config.bos_token_id = None
    model = Qwen2ForCausalLM(config).to(torch.float32).eval()
    model.save_pretrained(folder)
    expected = []
    for prompt in PROMPTS:
        tokens = torch.tensor([prompt])
        with torch.no_grad():
            for _ in range(TOKENS):
                following = model(tokens).logits[:, -1].argmax(-1, keepdim=True)
                tokens = torch.cat([tokens, following], dim=1)
        expected.append(tokens[0, len(prompt) :].tolist())
    return expected


def generate(folder: str) -> list[list[int]]:
    """Give the tokens that vLLM generates with it."""
    from vllm import LLM, ModelRegistry, SamplingParams

    # A class that is not imported yet is looked at in another process, which imports all of it again: not so in old
    # releases, which have no such list.
    if known := getattr(ModelRegistry, "models", {}).get(ARCHITECTURE):
        ModelRegistry.register_model(ARCHITECTURE, known.load_model_cls())
    model = LLM(folder, skip_tokenizer_init=True, dtype="float32", enforce_eager=True, max_model_len=64)
    sampling = SamplingParams(temperature=0, max_tokens=TOKENS, ignore_eos=True, detokenize=False)
    answers = model.generate([{"prompt_token_ids": prompt} for prompt in PROMPTS], sampling)
    return [list(answer.outputs[0].token_ids) for answer in answers]


def variant() -> str:
    """Name the compiled library that is loaded, such as `_C_AVX512`."""
    import vllm._custom_ops

    assert vllm._custom_ops
    with open("/proc/self/maps") as maps:
        found = re.search(r"/vllm/(_C[A-Z0-9_]*)\.", maps.read())
    return found[1] if found else ""


def compare() -> str:
    """Give an empty string, or what is wrong."""
    active = variant()
    if not active:
        return "vLLM's compiled library is not loaded: its kernels would be missing"
    with tempfile.TemporaryDirectory() as folder:
        expected = make_model(folder)
        generated = generate(folder)
    if generated != expected:
        return f"vLLM computes wrongly here ({active}): it generates {generated}, and transformers {expected}"
    print(f"{active} is active, and generates what transformers does in float32", flush=True)
    return ""


def check(device: str) -> str:
    """Give an empty string, or what is wrong. vLLM reads its settings when it is imported."""
    os.environ.update(SETTINGS)
    return check_vllm.check(device) or compare()


if __name__ == "__main__":
    check_vllm.main(check)
