"""A real Chromium, and the chat page in it as a person sees it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from .own_network import in_own_network
from .system import require_system_packages

PATIENCE = 120_000
"""Milliseconds that anything in the page may take, on a loaded machine too."""

# Keeps every text that the last answer has had, while it grows.
RECORD = """() => {
    window.seen = [];
    const look = () => {
        const answers = document.querySelectorAll('.bot.message');
        if (answers.length) window.seen.push(answers[answers.length - 1].innerText.trim());
    };
    new MutationObserver(look).observe(document.body, {childList: true, subtree: true, characterData: true});
}"""


@contextmanager
def chromium(*ports: int) -> Iterator[Browser]:
    """Run Debian's Chromium, with a font that has Chinese; skips, with the reason, where it cannot be had.

    It reaches these ports of this machine's loopback, and nothing else.
    """
    require_system_packages("chromium", "fonts-wqy-zenhei", "iproute2")
    expect.set_options(timeout=PATIENCE)
    with in_own_network(shutil.which("chromium") or "", *ports) as command, sync_playwright() as playwright:
        # Its sandbox wants another user than root.
        browser = playwright.chromium.launch(executable_path=command, chromium_sandbox=False)
        yield browser
        browser.close()


class Chat:
    """The chat page in a tab; everything that it asks the network for is kept."""

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        """`options` are those of a new browser context: locale, viewport, color_scheme …"""
        self.url, self.requests, self.complaints = url, list[str](), list[str]()
        self.context = browser.new_context(**options)
        self.page = self.tab()

    def tab(self) -> Page:
        """Open another tab with the page, and wait until one can type."""
        page = self.context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(self.url)
        box(page).wait_for()
        page.evaluate(RECORD)
        return page

    def close(self) -> None:
        """Close all its tabs."""
        self.context.close()


def box(page: Page) -> Locator:
    """Where questions are typed."""
    return page.locator("textarea:visible").first


def ask(page: Page, question: str) -> None:
    """Type a question, and send it."""
    expect(box(page)).to_be_enabled()
    box(page).fill(question)
    box(page).press("Enter")


def button(page: Page, *names: str) -> Locator:
    """The last button that has one of these names."""
    return page.get_by_role("button", name=re.compile("|".join(names))).last


def answered(page: Page, text: str) -> None:
    """Wait until the last answer is this, all of it, and one can type again."""
    expect(page.locator(".bot.message").last).to_have_text(text)
    page.locator("button.submit-button").wait_for()


def again(page: Page) -> None:
    """Let the last question be answered anew."""
    button(page, "Retry", "重试").click()


def choose(page: Page, service: str) -> None:
    """Go on with another service."""
    page.get_by_role("combobox", name="Service").click()
    page.get_by_role("option", name=re.compile(service)).click()


def begin(page: Page) -> None:
    """Begin a new conversation."""
    page.locator("#new").click()
    expect(page.locator("#conversation .message")).to_have_count(0)


def kept(page: Page) -> Locator:
    """The conversations that the browser keeps, newest first."""
    return page.locator("#history button")


def said(page: Page) -> str:
    """Everything in the conversation."""
    return page.locator("#conversation").inner_text()


def certain(page: Page, *, settings: str = "Parameters") -> None:
    """Set the parameters so that the demo model gives its exact answers."""
    button(page, settings).click()
    for label, value in (("Temperature|温度", "0"), ("Repetition|重复", "1")):
        field = page.get_by_label(re.compile(label)).locator("visible=true").first
        field.fill(value)
        field.press("Tab")
    button(page, settings).click()
