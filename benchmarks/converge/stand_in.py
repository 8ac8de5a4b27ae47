"""Answers in the place of vLLM's server, at once and with next to no work: enough to be ready, and to stay so."""

import argparse
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """Health, the model's name, and one token for whatever is asked."""

    def answer(self) -> None:
        """Give all that is ever looked for."""
        name = self.server.name  # type: ignore[attr-defined]
        body = json.dumps({"data": [{"id": name}], "usage": {"completion_tokens": 1}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer  # noqa: N815 - as http.server looks for them

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--served-model-name")
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    given, _ = parser.parse_known_args()
    server = ThreadingHTTPServer((given.host, given.port), Handler)
    server.name = given.served_model_name  # type: ignore[attr-defined]
    server.serve_forever()


if __name__ == "__main__":
    main()
