"""Take the READMEs' pictures of the chat page: `.venv/bin/python scripts/take_screenshots.py http://127.0.0.1:7860`.

The page is that of the demo model (`./run up`, `./run webui`). Chromium and a Chinese font are Debian's; Playwright
comes with `./run test`.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

DOCS = Path(__file__).resolve().parent.parent / "docs"
PICTURES = (
    ("webui.png", "Why is the sky blue?", {"locale": "en-US", "viewport": {"width": 900, "height": 600}}),
    (
        "webui-phone.png",
        "天空为什么是蓝色的？",
        {"locale": "zh-CN", "color_scheme": "dark", "viewport": {"width": 375, "height": 667}, "is_mobile": True},
    ),
)


def take(browser: Browser, url: str, name: str, question: str, options: dict[str, object]) -> None:
    """Ask, and take a picture of the whole answer, at the model's likeliest."""
    page = browser.new_page(**options)  # type: ignore[arg-type]
    page.set_default_timeout(120_000)
    page.goto(url)
    parameters = page.get_by_role("button", name="Parameters").or_(page.get_by_role("button", name="参数"))
    parameters.click()
    for number, value in ((0, "0"), (2, "1")):
        page.locator("input[type=number]:visible").nth(number).fill(value)
    parameters.click()
    page.locator("textarea:visible").first.fill(question)
    page.locator("textarea:visible").first.press("Enter")
    page.locator(".bot.message").wait_for()
    page.locator("button.submit-button").wait_for()
    page.get_by_role("button", name="Retry").or_(page.get_by_role("button", name="重试")).wait_for()
    page.screenshot(path=DOCS / name, animations="disabled")
    page.close()


if __name__ == "__main__":
    DOCS.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), chromium_sandbox=False)
        for picture in PICTURES:
            take(chromium, sys.argv[1], *picture)
        chromium.close()
