"""Stands in for vLLM's API server: it listens, wants its key, and makes tokens out of nothing."""

import argparse
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

parser = argparse.ArgumentParser()
for name in ("--model", "--served-model-name", "--host"):
    parser.add_argument(name)
parser.add_argument("--port", type=int)
told, _ = parser.parse_known_args()
ANSWERS = {
    "/health": {},
    "/metrics": {},
    "/v1/models": {"data": [{"id": told.served_model_name}]},
    "/v1/completions": {"usage": {"completion_tokens": 1}},
}


class Handler(BaseHTTPRequestHandler):
    """Answers what serve.py asks."""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        known = self.headers["Authorization"] == f"Bearer {os.environ['VLLM_API_KEY']}" or self.path[:4] != "/v1/"
        body = json.dumps(ANSWERS.get(self.path)).encode()
        self.send_response(404 if self.path not in ANSWERS else 200 if known else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    with open(os.path.join(told.model, "model.safetensors"), "rb") as weights:
        weights.read()
    ThreadingHTTPServer((told.host, told.port), Handler).serve_forever()
