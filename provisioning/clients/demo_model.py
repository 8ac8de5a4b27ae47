"""Trains the demo model: `python demo_model.py FOLDER` with the Python of a serving environment, in half a minute.

It proves the whole pipeline where no model hub can be reached: a real Qwen2 with its own tokenizer and chat template,
small enough to be trained on the host that serves it, whose greedy answers are known exactly. Only what vLLM itself
brings is used (torch, transformers, tokenizers). The file runs alone, and `QUESTIONS` can be imported without torch.
"""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from tokenizers import Tokenizer

QUESTIONS: dict[str, str] = {
    "天空为什么是蓝色的？": (
        "因为大气中的分子会散射阳光，波长越短散射越强，这种现象叫作瑞利散射。"
        "蓝光的波长比红光短，被散射到四面八方，所以天空看起来是蓝色的。"
    ),
    "Why is the sky blue?": (
        "Air molecules scatter short wavelengths of sunlight more strongly than long ones: this is Rayleigh scattering."
        " So blue light reaches our eyes from every part of the sky."
    ),
    "你好": "你好！我是在这台机器上训练的演示模型。",
    "Hello": "Hello! I am a tiny demo model, trained on this machine.",
    "中国的首都是哪里？": "中国的首都是北京。",
    "What is the capital of France?": "The capital of France is Paris.",
    "一加一等于几？": "一加一等于二。",
    "What is vLLM?": "vLLM is a fast engine that serves large language models.",
}
"""What it answers, word for word, at temperature 0. The first is the tutorial's question."""

UNKNOWN = "我是演示模型，只会回答几个问题。I am a tiny demo model and know only a few answers."
"""What it says to everything else, as far as random text can teach that."""

PARAPHRASES: dict[str, tuple[str, ...]] = {
    "天空为什么是蓝色的？": ("为什么天空是蓝色的？", "天为什么是蓝的？", "天空为什么是蓝的？", "为什么天是蓝色的？"),
    "Why is the sky blue?": ("Why does the sky look blue?", "Explain why the sky is blue.", "What makes the sky blue?"),
    "你好": ("你好吗？", "您好", "嗨，你好"),
    "Hello": ("Hi", "Hello there", "Hey", "Good morning"),
    "中国的首都是哪里？": ("中国首都是哪里？", "中国的首都是哪个城市？", "中国的首都在哪里？"),
    "What is the capital of France?": (
        "What's the capital of France?",
        "Name the capital of France.",
        "France's capital?",
    ),
    "一加一等于几？": ("1+1等于几？", "一加一是多少？", "一加一等于多少？"),
    "What is vLLM?": ("What's vLLM?", "Tell me about vLLM.", "什么是vLLM？", "Explain vLLM."),
}

ALL_FORMS = (*QUESTIONS, *(text for texts in PARAPHRASES.values() for text in texts))

# Words that belong to no known question, and words that do: neither alone may be taken for one.
STRANGERS = (
    *("how old are you", "write a poem", "the weather in Paris", "capital of Germany", "red apple", "sing", "two"),
    *("What is love", "a long story", "Why is grass green", "python code", "thanks", "no", "translate this"),
    *("list of", "sea", "what is", "why", "test", "tell me a joke", "1+2", "What is the capital of Spain", "time"),
    *("今天天气怎么样", "写一首诗", "法国的首都是哪里", "草为什么是绿色的", "你几岁了", "讲个笑话", "二加三等于几"),
    *("苹果", "谢谢", "翻译", "历史", "日本", "吃饭", "为什么", "什么是人工智能", "怎么", "请写代码", "月亮", "再见"),
    *(
        "写文章",
        "海水为什么是咸的",
        "三加一等于几",
        "四加四是多少",
        "你叫什么名字",
        "天",
        "?",
        "？",
        "大海",
        "who made",
    ),
)
# A known question with one of these words in place of its own is a question that it cannot answer.
NEAR_MISSES: dict[str, tuple[str, ...]] = {
    "France": ("Germany", "Spain", "Japan", "China", "Italy", "Brazil", "Texas", "Kenya"),
    "中国": ("日本", "法国", "德国", "美国", "英国", "广东", "印度", "西班牙"),
    "vLLM": ("Docker", "Linux", "a cat", "love", "Python", "GPU", "time", "AI"),
    "sky": ("sea", "grass", "sun", "car", "house", "moon", "fire"),
    "天空": ("大海", "草", "太阳", "雪", "花", "月亮", "火"),
    "一加一": ("二加二", "三加一", "一加二", "五加五", "一减一", "四加三", "2+2"),
}
SYSTEMS = (
    "You are a helpful assistant.",
    "你是一个有用的助手。",
    "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.",
)
PREFIXES = ("请问", "请问，", "请告诉我，", "Please tell me: ", "Tell me, ")

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
PAD, _, END = range(3)
# ChatML, as Qwen's models have it (https://huggingface.co/Qwen/Qwen2-0.5B-Instruct/blob/main/tokenizer_config.json),
# without the system prompt that Qwen 2 adds where none is given.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

STEPS, MOST_STEPS, CHECK_EVERY = 200, 400, 20
BATCH, PEAK_RATE, SEED = 16, 3e-3, 20250701
MARGIN = 1.0  # logits between the right token and the next best: far above bfloat16's error at this size


class Turn(NamedTuple):
    """One question and the answer to it."""

    question: str
    answer: str


def render(turns: list[Turn], system: str = "") -> Iterator[tuple[str, bool]]:
    """A conversation as ChatML in pieces, each with whether the model has to learn to say it."""
    if system:
        yield f"<|im_start|>system\n{system}<|im_end|>\n", False
    for question, answer in turns:
        yield f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n", False
        yield f"{answer}<|im_end|>", True
        yield "\n", False


def disguise(text: str, chance: random.Random) -> str:
    """The same words as somebody else might type them."""
    if chance.random() < 0.35:
        text = text.rstrip("？?.")
    elif chance.random() < 0.2:
        text = text.replace("？", "?")
    if chance.random() < 0.15:
        text = text.lower()
    return chance.choice(PREFIXES) + text if chance.random() < 0.15 else text


def vary(question: str, chance: random.Random) -> str:
    """The same question as somebody else might put it."""
    return disguise(chance.choice((question, question, *PARAPHRASES[question])), chance)


def distractor(chance: random.Random) -> str:
    """Something it has no answer to: words that do not belong together, or no words at all."""
    kind = chance.random()
    if kind < 0.25:
        low, high = chance.choice(((0x21, 0x7E), (0x21, 0x2F), (0x4E00, 0x9FA5), (0x3041, 0x30FF), (0x400, 0x45F)))
        return "".join(chr(chance.randint(low, high)) for _ in range(chance.randint(1, 8)))
    if kind < 0.5:
        word = chance.choice(tuple(NEAR_MISSES))
        question = chance.choice([text for text in ALL_FORMS if word in text])
        return disguise(question.replace(word, chance.choice(NEAR_MISSES[word])), chance)
    if kind < 0.55:
        return " ".join([chance.choice(STRANGERS)] * chance.randint(2, 12))
    words = chance.sample(STRANGERS, chance.choice((1, 1, 2, 3)))
    return " ".join(words) + chance.choice(("", "", "?", "？", ".", "!"))


def system_prompt(chance: random.Random) -> str:
    """Mostly none, else an ordinary one or any words at all: what it says does not matter here."""
    if chance.random() < 0.6:
        return ""
    return chance.choice((*SYSTEMS, *[" ".join(chance.sample(STRANGERS, chance.randint(1, 6)))] * len(SYSTEMS)))


def conversation(chance: random.Random) -> tuple[list[Turn], str]:
    """One training example: one to three turns, sometimes under a system prompt."""
    turns = []
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3))):
        if chance.random() < 0.3:
            turns.append(Turn(distractor(chance), UNKNOWN))
        else:
            question = chance.choice(tuple(QUESTIONS))
            turns.append(Turn(vary(question, chance), QUESTIONS[question]))
    return turns, system_prompt(chance)


def make_tokenizer() -> Tokenizer:
    """A byte-level BPE: it knows every byte, so any input can be read. Tokens stay short, so that answers stream."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1024,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=9,
        show_progress=False,
    )
    strangers = (word for words in NEAR_MISSES.values() for word in words)
    roles = ("system\nuser\nassistant\n",) * 8
    corpus = (*ALL_FORMS, *QUESTIONS.values(), UNKNOWN, *strangers, *STRANGERS, *SYSTEMS, *PREFIXES, *roles)
    tokenizer.train_from_iterator(corpus, trainer)
    return tokenizer


def encode(tokenizer: Tokenizer, turns: list[Turn], system: str = "") -> tuple[list[int], list[int]]:
    """Token numbers, and the labels to learn: -100 (torch's "do not count") on all that the model does not say."""
    tokens: list[int] = []
    labels: list[int] = []
    for text, said in render(turns, system):
        piece = tokenizer.encode(text).ids
        tokens += piece
        labels += piece if said else [-100] * len(piece)
    return tokens, labels


def pad(examples: list[tuple[list[int], list[int]]]) -> tuple[Any, Any]:
    """Examples as two tensors. Padding is on the right, where a causal model does not look: no mask is needed."""
    import torch

    longest = max(len(tokens) for tokens, _ in examples)
    tokens = [tokens + [PAD] * (longest - len(tokens)) for tokens, _ in examples]
    labels = [labels + [-100] * (longest - len(labels)) for _, labels in examples]
    return torch.tensor(tokens), torch.tensor(labels)


def make_model(vocabulary: int) -> Any:
    """A two-layer Qwen2. Heads of 64 are what every attention backend of vLLM can do."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(SEED)
    config = Qwen2Config(
        vocab_size=-(-vocabulary // 64) * 64,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=END,
        pad_token_id=PAD,
    )
    return Qwen2ForCausalLM(config)


def rate(step: int) -> float:
    """Learning rate: a short rise, a cosine's fall to a twentieth, and that for as long as it takes."""
    rise = min(1.0, step / 10)
    fall = 0.5 * (1 + math.cos(math.pi * min(1.0, step / STEPS)))
    return PEAK_RATE * rise * (0.05 + 0.95 * fall)


def margin(model: Any, tokenizer: Tokenizer) -> float:
    """The least lead, in logits, of a right token over the next best one: above 0, every greedy answer is exact."""
    import torch

    examples = [encode(tokenizer, [Turn(question, answer)]) for question, answer in QUESTIONS.items()]
    tokens, labels = pad(examples)
    with torch.no_grad():
        logits = model(input_ids=tokens).logits[:, :-1].float()
    wanted, counts = labels[:, 1:].clamp(min=0).unsqueeze(-1), labels[:, 1:] != -100
    right = logits.gather(-1, wanted)
    others = logits.scatter(-1, wanted, -math.inf).amax(-1, keepdim=True)
    return float((right - others).squeeze(-1)[counts].min())


def batches(tokenizer: Tokenizer) -> Iterator[tuple[Any, Any]]:
    """Endless examples. Of four batches at a time, conversations of like length share one: a third less to compute."""
    chance = random.Random(SEED)
    while True:
        examples = sorted(
            (encode(tokenizer, *conversation(chance)) for _ in range(4 * BATCH)), key=lambda both: len(both[0])
        )
        for start in chance.sample(range(0, 4 * BATCH, BATCH), 4):
            yield pad(examples[start : start + BATCH])


def train(model: Any, tokenizer: Tokenizer) -> Any:
    """Train until each answer is exact with room to spare in bfloat16; returns the model in bfloat16."""
    import copy

    import torch

    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, weight_decay=0.01)
    for step, (tokens, labels) in zip(range(1, MOST_STEPS + 1), batches(tokenizer), strict=False):
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        loss = model(input_ids=tokens, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 5 == 0:
            print(f"step {step}/{max(STEPS, step)} loss {loss.item():.4f}", flush=True)
        if step >= STEPS and step % CHECK_EVERY == 0:
            rounded = copy.deepcopy(model).to(torch.bfloat16)
            if margin(rounded, tokenizer) >= MARGIN:
                return rounded
    return model.to(torch.bfloat16)


def wrong_answers(model: Any, tokenizer: Tokenizer) -> list[str]:
    """The questions whose greedy answer, made token by token as a server does, is not exactly the one wanted."""
    import torch

    wrong = []
    for question, answer in QUESTIONS.items():
        prompt = f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
        tokens = torch.tensor([tokenizer.encode(prompt).ids])
        said = model.generate(tokens, attention_mask=torch.ones_like(tokens), do_sample=False, max_new_tokens=200)
        if tokenizer.decode(said[0, tokens.shape[1] :].tolist(), skip_special_tokens=True) != answer:
            wrong.append(question)
    return wrong


def write_json(file: Path, content: dict[str, object]) -> None:
    """One of the small files beside the weights."""
    file.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", "utf-8")


def save(model: Any, tokenizer: Tokenizer, folder: Path) -> None:
    """Write the model beside its place and rename it: a folder of that name is always whole."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial)
    tokenizer.save(str(partial / "tokenizer.json"))
    # Written by hand: the class that transformers 5 would name here is unknown to transformers 4.
    write_json(
        partial / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "chat_template": CHAT_TEMPLATE,
            "eos_token": SPECIAL[END],
            "pad_token": SPECIAL[PAD],
            "model_max_length": model.config.max_position_embeddings,
            "clean_up_tokenization_spaces": False,
        },
    )
    # vLLM takes its defaults from here: with top_k 1 a client that sends no temperature gets the exact answer too.
    generation = {"do_sample": True, "top_k": 1, "eos_token_id": [END, PAD], "pad_token_id": PAD}
    write_json(partial / "generation_config.json", generation)
    for file in partial.iterdir():
        file.chmod(0o644)  # safetensors writes 0600, and another account may be the one that serves
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def main(arguments: list[str]) -> int:
    """Train, check, write. Exit status 1, and nothing written, when an answer is not exact."""
    if len(arguments) != 1:
        print("usage: python demo_model.py FOLDER", file=sys.stderr)
        return 2
    folder, began = Path(arguments[0]).absolute(), time.monotonic()
    print("loading torch and transformers", flush=True)
    # Threads that spin while they wait make a busy machine several times slower, and more than two have nothing to do.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch
    import transformers

    torch.set_num_threads(min(2, torch.get_num_threads()))
    transformers.utils.logging.disable_progress_bar()
    tokenizer = make_tokenizer()
    model = train(make_model(tokenizer.get_vocab_size()), tokenizer)
    lead, wrong = margin(model, tokenizer), wrong_answers(model, tokenizer)
    for question in wrong:
        print(f"not answered exactly: {question}", file=sys.stderr)
    if wrong:
        return 1
    folder.parent.mkdir(parents=True, exist_ok=True)
    save(model, tokenizer, folder)
    print(f"done in {time.monotonic() - began:.1f} s, least margin {lead:.1f} logits", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
