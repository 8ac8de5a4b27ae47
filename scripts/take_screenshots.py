"""Take the READMEs' pictures of the chat page: `.venv/bin/python scripts/take_screenshots.py 7860`.

The page at this port of 127.0.0.1 is that of the demo model (`./run up`, `./run webui`). As root, for Chromium gets a
network of its own, as in the tests. Chromium and a Chinese font are Debian's; Playwright comes with `./run test`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "tests"))
from hosts.browser import Chat, answered, ask, begin, certain, chromium  # noqa: E402

from provisioning.clients.demo_model import QUESTIONS  # noqa: E402

PHONE = {"viewport": {"width": 390, "height": 700}, "is_mobile": True, "has_touch": True}
PICTURES: tuple[tuple[str, tuple[str, ...], dict[str, Any]], ...] = (
    (
        "webui.png",
        ("Hello", "What is vLLM?", "Why is the sky blue?"),
        {"locale": "en-US", "viewport": {"width": 1080, "height": 620}},
    ),
    ("webui-phone.png", ("天空为什么是蓝色的？",), {"locale": "zh-CN", "color_scheme": "dark", **PHONE}),
)


def take(browser: Browser, url: str, name: str, questions: tuple[str, ...], options: dict[str, Any]) -> None:
    """Ask each question in a conversation of its own, and take a picture of the last answer, at the likeliest."""
    chat = Chat(browser, url, **options)
    certain(chat.page, settings="Parameters|参数")
    for question in questions:
        if question != questions[0]:
            begin(chat.page)
        ask(chat.page, question)
        answered(chat.page, QUESTIONS[question])
    chat.page.mouse.move(0, 0)
    chat.page.screenshot(path=PROJECT / "docs" / name, animations="disabled")
    chat.close()


def main(port: int) -> None:
    """Take them all."""
    with chromium(port) as browser:
        for picture in PICTURES:
            take(browser, f"http://127.0.0.1:{port}", *picture)


if __name__ == "__main__":
    main(int(sys.argv[1]))
