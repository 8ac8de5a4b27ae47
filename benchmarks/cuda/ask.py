"""Asks the demo model every question it knows, and says whether the answers are those of an earlier run.

`python -m benchmarks.cuda.ask PORT ANSWERS.json [EARLIER.json]` on the host that serves.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from provisioning.clients.demo_model import QUESTIONS


def ask(port: str, question: str) -> tuple[str, list[float]]:
    body: dict[str, Any] = {"model": "demo", "temperature": 0, "max_tokens": 200, "logprobs": True}
    body["messages"] = [{"role": "user", "content": question}]
    url, headers = f"http://127.0.0.1:{port}/v1/chat/completions", {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers), timeout=60) as reply:
        choice = json.load(reply)["choices"][0]
    return choice["message"]["content"], [token["logprob"] for token in choice["logprobs"]["content"]]


def main(port: str, target: str, earlier: str = "") -> None:
    began = time.monotonic()
    answers = {question: ask(port, question) for question in QUESTIONS}
    seconds = time.monotonic() - began
    right = sum(answers[question][0] == answer for question, answer in QUESTIONS.items())
    tokens = sum(len(odds) for _, odds in answers.values())
    print(f"{right} of {len(answers)} answers word for word as trained; {tokens} tokens in {seconds:.2f} s")
    Path(target).write_text(json.dumps(answers, ensure_ascii=False), "utf-8")
    if earlier:
        before = json.loads(Path(earlier).read_text("utf-8"))
        same = all(before[question][0] == answers[question][0] for question in answers)
        pairs = [pair for question in answers for pair in zip(before[question][1], answers[question][1], strict=False)]
        most = max(abs(then - now) for then, now in pairs)
        print(f"the same answers: {'yes' if same else 'no'}; log probabilities differ by {most:.4f} at most")


if __name__ == "__main__":
    main(*sys.argv[1:])
