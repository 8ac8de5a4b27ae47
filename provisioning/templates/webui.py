"""Serve the chat page: `webui.py CONFIG.json`, or `webui.py -`, which reads a line and serves until its input ends.

The configuration: `listen`, `port`, `language` ("" for the browser's), `share`, `services` (see webui_service.Service)
and, for a login, `user` and `password` or `password_file`. Keys and passwords stay here: the browser never gets them.
Exit codes: 0 stopped; 69 the port is taken; 78 wrong configuration.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.middleware import Middleware

    from provisioning.templates import webui_page, webui_words
    from provisioning.templates.webui_guard import Guard
    from provisioning.templates.webui_service import Service
else:
    # Gradio asks for these when it is imported: it counts its users, and looks for newer versions of itself.
    os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # -I leaves it out; the directory is root's
    import webui_page
    import webui_words
    from starlette.middleware import Middleware
    from webui_guard import Guard
    from webui_service import Service

UNAVAILABLE, MISCONFIGURED = 69, 78


def main(source: str) -> int:
    """Serve until SIGTERM, SIGINT or the end of the standard input that the configuration came from."""
    try:
        config = json.loads(sys.stdin.readline() if source == "-" else Path(source).read_text())
        login = _login(config)
    except (OSError, ValueError) as error:
        print(f"webui: the configuration cannot be read: {error}", file=sys.stderr)
        return MISCONFIGURED
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: over.set())
    if source == "-":
        threading.Thread(target=_await_end, args=(over,), daemon=True).start()
    return serve(config, login, over)


def _await_end(over: threading.Event) -> None:
    sys.stdin.read()
    over.set()


def _login(config: dict[str, Any]) -> tuple[str, str] | None:
    if not config.get("user"):
        return None
    file = config.get("password_file")
    return config["user"], Path(file).read_text().strip() if file else config["password"]


def serve(config: dict[str, Any], login: tuple[str, str] | None, over: threading.Event) -> int:
    """Serve until `over` is set."""
    # Gradio asks itself whether it answers, and would ask a proxy for that.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = ",".join(
        [*filter(None, [os.environ.get("NO_PROXY")]), "localhost", "127.0.0.1", "::1", config["listen"]]
    )
    page = webui_page.page([Service(**each) for each in config["services"]], config["language"])
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Gradio tells of a link that could not be made
            shared = _launch(page, config, login)
    except OSError as error:
        print(f"webui: {error}", file=sys.stderr)
        return UNAVAILABLE
    print(json.dumps({"serving": True, "shared": shared}), flush=True)
    over.wait()
    page.close(verbose=False)
    return 0


def _launch(page: Any, config: dict[str, Any], login: tuple[str, str] | None) -> str | None:
    """Listen; give the public link, where one was asked for and made."""
    language = config["language"]
    _, _, shared = page.launch(
        server_name=config["listen"],
        server_port=config["port"],
        auth=login,
        auth_message=webui_words.say(language or "en", "login"),
        share=config["share"],
        i18n=webui_page.texts(language),
        theme=webui_page.theme(),
        head=webui_page.HEAD,
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
        max_file_size=1,
        app_kwargs={"middleware": [Middleware(Guard)], "docs_url": None, "redoc_url": None, "openapi_url": None},
        inbrowser=False,
        quiet=True,
        prevent_thread_lock=True,
    )
    return str(shared) if shared else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
