"""A small server with OpenAI's API, which answers word by word, and in the ways in which vLLM fails."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

TOO_LONG = "This model's maximum context length is 200 tokens. However, you requested 9000 tokens."


class OpenAiServer:
    """Answers with what it was asked, backwards; `long` never ends, `empty` gets nothing, `break` hangs up.

    `too long` is refused.
    """

    def __init__(self, key: str = "") -> None:
        """`key`: who does not bring it is refused."""
        self.key, self.port = key, 0
        self.asked: list[dict[str, Any]] = []
        self.running = 0
        """Answers that are on their way."""

    def start(self) -> OpenAiServer:
        """Listen, at the port that it had before."""
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), _Handler)
        self._server.owner = self  # type: ignore[attr-defined]
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def stop(self) -> None:
        """Let nobody in any more."""
        self._server.shutdown()
        self._server.server_close()

    __enter__ = start

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.stop()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def owner(self) -> OpenAiServer:
        owner: OpenAiServer = self.server.owner  # type: ignore[attr-defined]
        return owner

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        if self._may_come():
            self._send(200, {"object": "list", "data": [_model("demo"), _model("demo-小")]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self._may_come():
            return
        if self.path == "/tokenize":  # as behind a gateway
            self._send(404, {"error": {"message": "Not Found", "type": "NotFoundError"}})
            return
        self.owner.asked.append(body)
        question = body["messages"][-1]["content"]
        if question == "too long":
            self._send(400, {"error": {"message": TOO_LONG, "type": "BadRequestError", "code": 400}})
        elif not body.get("stream"):
            self._send(200, {"choices": [{"index": 0, "message": {"role": "assistant", "content": question[::-1]}}]})
        else:
            self.owner.running += 1
            try:
                self._stream(question)
            except OSError:
                pass  # who asked has hung up
            finally:
                self.owner.running -= 1

    def _stream(self, question: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close")
        self.end_headers()
        self._piece("and on ") if question in ("long", "break") else None
        while question == "long":
            self._piece("and on ")
            time.sleep(0.02)
        if question != "break":
            for letter in question[::-1] if question != "empty" else "":
                self._piece(letter)
            self._piece("", "length" if "cut" in question else "stop")
            self._chunk("data: [DONE]\n\n")
            self._chunk("")

    def _piece(self, text: str, reason: str | None = None) -> None:
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
        self._chunk(f"data: {json.dumps({'choices': [choice]})}\n\n")

    def _chunk(self, text: str) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(text), text.encode()))

    def _may_come(self) -> bool:
        if self.owner.key and self.headers["Authorization"] != f"Bearer {self.owner.key}":
            self._send(401, {"error": {"message": "Unauthorized", "type": "AuthenticationError"}})
            return False
        return True

    def _send(self, status: int, content: dict[str, Any]) -> None:
        data = json.dumps(content, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "tests"}
