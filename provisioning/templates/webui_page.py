"""The chat page: Gradio's components, and what happens between them and a service."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio

if TYPE_CHECKING:
    from provisioning.templates import webui_words as words
    from provisioning.templates.webui_conversation import COMPLAINT, conversation
    from provisioning.templates.webui_service import CannotAnswerError, Sampling, Service
else:
    import webui_words as words
    from webui_conversation import COMPLAINT, conversation
    from webui_service import CannotAnswerError, Sampling, Service

SYSTEM_PROMPT = "You are a helpful assistant."
PRESET = Sampling(temperature=0.7, top_p=0.8, repetition_penalty=1.05, max_tokens=512)
"""As the tutorials of Qwen2 on vLLM have them: https://qwen.readthedocs.io/en/v2.0/deployment/vllm.html"""

FOLDER = Path(__file__).parent
TITLE = "vLLM"
FONTS = ("system-ui", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "WenQuanYi Zen Hei", "sans-serif")
MONOSPACE = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")
CSS = (FOLDER / "webui.css").read_text()
"""In the head as it is: Gradio, given styles, changes their selectors, and loses those of a width."""
HISTORY = (FOLDER / "webui_history.js").read_text()
# A page whose scripts did not all come, as when the network changes meanwhile, would stay at "Loading…" for ever.
# Gradio sets this by script: what fails before it is there stays as it is.
# https://vite.dev/guide/build#load-error-handling
HEAD = f"""<style>{CSS}</style>
<script>{HISTORY}</script>
<script>
window.addEventListener("vite:preloadError", () => {{
    if (!document.querySelector("textarea")) setTimeout(() => location.reload(), 1000);
}});
</script>"""
FORMULAS = [
    {"left": "$$", "right": "$$", "display": True},
    {"left": "\\[", "right": "\\]", "display": True},
    {"left": "\\(", "right": "\\)", "display": False},
]
Message = dict[str, Any]


def texts(language: str) -> gradio.I18n:
    """All words for the browser, which takes those of its own language; those of `language` alone if one is given."""
    each = {
        one: {key: pair[words.LANGUAGES.index(one)] for key, pair in words.WORDS.items()} for one in words.LANGUAGES
    }
    english, chinese = (each[language or one] for one in words.LANGUAGES)
    return gradio.I18n(**{"en": english, "zh": chinese, "zh-CN": chinese, "zh-TW": chinese})


def theme() -> gradio.themes.Base:
    """Gradio's own, in fonts that are on the reader's machine."""
    return gradio.themes.Default(font=FONTS, font_mono=MONOSPACE)


def page(services: Sequence[Service], language: str) -> gradio.Blocks:
    """Give the page; `language` is one of `LANGUAGES`, or "" for the browser's."""

    async def ask(
        message: str,
        history: list[Message],
        chosen: int,
        system: str,
        temperature: float,
        top_p: float,
        penalty: float,
        length: int,
        request: gradio.Request,
    ) -> AsyncGenerator[list[Message], None]:
        tongue = language or words.language_of(request.headers.get("accept-language", ""))
        service, sampling = services[chosen], Sampling(temperature, top_p, penalty, int(length))
        asked = conversation(system, history, message)
        said = ""
        try:
            async with aclosing(service.answer(asked, sampling)) as pieces:
                async for piece in pieces:
                    said += piece
                    yield [turn(said)]
        except CannotAnswerError as error:
            yield [*([turn(said)] if said else []), complaint(error, service, tongue)]
        else:
            if not said:
                yield [turn(words.say(tongue, "empty"))]

    i18n = gradio.I18n()
    with gradio.Blocks(title=TITLE, fill_height=True, analytics_enabled=False) as whole:
        service = gradio.Dropdown(
            [(service.label, index) for index, service in enumerate(services)],
            value=0,
            label=i18n("service"),
            filterable=False,
            container=False,
            elem_id="service",
        )
        chat = gradio.ChatInterface(
            ask,
            chatbot=chatbot(i18n),
            textbox=textbox(i18n),
            additional_inputs=[service, *parameters(i18n)],
            additional_inputs_accordion=gradio.Accordion(label=i18n("settings"), open=False, render=False),
            editable=True,
            concurrency_limit=None,
            analytics_enabled=False,
            api_visibility="private",
            fill_height=True,
        )
        with gradio.Sidebar(open=False):
            history(chat, i18n)
    return whole


def history(chat: gradio.ChatInterface, i18n: gradio.I18n) -> None:
    """List the conversations that this browser keeps; what happens to them happens there (webui_history.js)."""
    begin = gradio.Button(i18n("new"), elem_id="new")
    kept = gradio.HTML(
        html_template="<nav></nav>",
        js_on_load="chats.list(element.querySelector('nav'), () => trigger('click'))",
        elem_id="history",
    )
    gradio.Markdown(i18n("kept"), elem_id="kept")
    chat.chatbot.change(None, chat.chatbot, js="(messages) => chats.keep(messages)")
    for event, messages in ((begin.click, "chats.begin()"), (kept.click, "chats.messages()")):
        event(None, None, chat.chatbot, js=f"() => [{messages}]").then(
            lambda said: said, chat.chatbot, chat.chatbot_state, api_visibility="private", queue=False
        )


def chatbot(i18n: gradio.I18n) -> gradio.Chatbot:
    """The conversation, in Markdown with code and formulas."""
    return gradio.Chatbot(
        render=False,
        show_label=False,
        placeholder=i18n("placeholder"),
        buttons=["copy", "copy_all"],
        latex_delimiters=FORMULAS,
        reasoning_tags=[("<think>", "</think>")],
        allow_tags=False,  # those that HTML does not know are shown as they are
        autoscroll=False,  # it pulls down whoever reads what came before: see webui_history.js
        feedback_options=None,
        scale=1,
        elem_id="conversation",
    )


def textbox(i18n: gradio.I18n) -> gradio.Textbox:
    """Where questions are typed."""
    return gradio.Textbox(
        render=False,
        placeholder=i18n("hint"),
        lines=1,
        max_lines=8,
        autofocus=True,
        submit_btn=True,
        stop_btn=True,
        scale=7,
    )


def parameters(i18n: gradio.I18n) -> list[Any]:
    """What can be set beside the question."""
    return [
        gradio.Textbox(SYSTEM_PROMPT, label=i18n("system"), lines=2, render=False),
        gradio.Slider(0, 2, PRESET.temperature, step=0.05, label=i18n("temperature"), render=False),
        gradio.Slider(0.05, 1, PRESET.top_p, step=0.05, label=i18n("top_p"), render=False),
        gradio.Slider(1, 2, PRESET.repetition_penalty, step=0.01, label=i18n("penalty"), render=False),
        gradio.Slider(1, 8192, PRESET.max_tokens, step=1, label=i18n("length"), render=False),
    ]


def turn(text: str) -> Message:
    """The model's turn of the conversation."""
    return {"role": "assistant", "content": text}


def complaint(error: CannotAnswerError, service: Service, language: str) -> Message:
    """What is wrong, why, and what to do, as a message of the page's own."""
    title = words.say(language, error.key, service=service.label)
    cause = f"{error.key}_cause" if f"{error.key}_cause" in words.WORDS else "down_cause"
    return {
        "role": "assistant",
        "content": words.say(language, cause, **error.values),
        "metadata": {"title": COMPLAINT + title},
    }
