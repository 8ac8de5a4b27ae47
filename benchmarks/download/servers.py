"""The hubs of the tests on loopback, with nginx before them: what is compared is clients, and not a server in Python.

nginx sends the bodies of weights (sendfile), and passes all other requests on to the hubs.
"""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import urlopen

from hubs.content import HEADER, safetensors
from hubs.faults import Faults, Request
from hubs.faulty_proxy import FaultyProxy
from hubs.git_hub import GitServer
from hubs.hf_hub import HuggingFaceHub
from hubs.modelscope_hub import ModelScopeHub

ID = "Bench/Model"
WEIGHTS = 4
SMALL = 20
PORTS = {"git": 8001, "huggingface": 8002, "modelscope": 8003}
"""Of nginx: free, for the benchmark has a network of its own."""
CONFIGURATION = """
daemon off;
worker_processes 1;
user root;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    default_type application/octet-stream;
    proxy_set_header Host $http_host;
    proxy_http_version 1.1;
    proxy_temp_path {folder}/proxy;
    client_body_temp_path {folder}/bodies;
{servers}
}}
"""
SERVER = """
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass {hub}; }}
        location ~ {path} {{
            error_page 418 = @hub;
            if ($request_method = HEAD) {{ return 418; }}
            alias {file};
        }}
        location @hub {{ proxy_pass {hub}; }}
    }}
"""


def make_model(folder: Path, size: int) -> Path:
    """A model of this many bytes in `WEIGHTS` files that no compression makes smaller, and small files beside."""
    folder.mkdir()
    for number in range(1, WEIGHTS + 1):
        data = random.Random(number).randbytes(size // WEIGHTS - HEADER)
        (folder / f"model-{number:05}-of-{WEIGHTS:05}.safetensors").write_bytes(safetensors(data))
    for number in range(SMALL):
        (folder / f"tokens-{number:02}.json").write_text(f'{{"token": {number}}}\n' * 500)
    return folder


@dataclass
class Servers:
    """One model on three hubs. `urls` are nginx's, by protocol; `hubs` those behind it."""

    model: Path
    folder: Path
    urls: dict[str, str] = field(default_factory=dict)
    hubs: dict[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of the model."""
        return sum(path.stat().st_size for path in self.model.iterdir())

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve until the context ends."""
        with ExitStack() as stack:
            git = stack.enter_context(GitServer(self.folder / "git"))
            huggingface = stack.enter_context(HuggingFaceHub())
            modelscope = stack.enter_context(ModelScopeHub())
            for hub in (git, huggingface, modelscope):
                hub.add(ID, self.model)
            self.hubs = {"git": git.url, "huggingface": huggingface.url, "modelscope": modelscope.url}
            self.urls = {protocol: f"http://127.0.0.1:{port}" for protocol, port in PORTS.items()}
            objects = git.object_path(ID, "x").parent
            bodies = {
                "git": ('"/info/lfs/objects/storage/(?<oid>[0-9a-f]{64})$"', objects / "$oid"),
                "huggingface": (f'"^/{ID}/resolve/[^/]+/(?<name>.+)$"', self.model / "$name"),
                "modelscope": ('"^/prod/lfs-objects/(?<oid>[0-9a-f]{64})$"', objects / "$oid"),
            }
            stack.enter_context(self._nginx(bodies))
            yield

    @contextmanager
    def _nginx(self, bodies: dict[str, tuple[str, Path]]) -> Iterator[None]:
        servers = [
            SERVER.format(port=PORTS[protocol], hub=self.hubs[protocol], path=path, file=file)
            for protocol, (path, file) in bodies.items()
        ]
        configuration = self.folder / "nginx.conf"
        configuration.write_text(CONFIGURATION.format(folder=self.folder, servers="".join(servers)))
        process = subprocess.Popen(["nginx", "-c", configuration, "-e", self.folder / "nginx.log"])
        try:
            _wait_for(f"{self.urls['huggingface']}/api/models/{ID}")
            yield
        finally:
            process.terminate()
            process.wait()


def _wait_for(url: str) -> None:
    for attempt in range(50):
        try:
            with urlopen(url, timeout=5):
                return
        except OSError:
            if attempt == 49:
                raise
            time.sleep(0.1)


@contextmanager
def throttled(bytes_per_second: int) -> Iterator[None]:
    """Bound all that passes on loopback, as a line does (tc-tbf(8)); 0 bounds nothing."""
    device = ["dev", "lo", "root"]
    if bytes_per_second:
        rate = ["rate", f"{bytes_per_second}bps", "burst", "256kb", "latency", "50ms"]
        subprocess.run(["tc", "qdisc", "replace", *device, "tbf", *rate], check=True)
    try:
        yield
    finally:
        if bytes_per_second:
            subprocess.run(["tc", "qdisc", "del", *device], check=True)


class CuttingProxy(FaultyProxy):
    """Ends the first `cuts` answers that carry weights at a random byte each."""

    def __enter__(self) -> CuttingProxy:
        """Start, always with the same cuts."""
        super().__enter__()
        self.cuts, self.size, self._random = 20, 0, random.Random(7)
        return self

    def weights_sent(self) -> int:
        """Bytes of weights that have gone out, whether the client kept them or not."""
        return sum(request.sent for request in self.requests if _carries_weights(request.path))

    def take_faults(self, request: Request) -> Faults:
        """Cut, while there are cuts left, what is long enough."""
        if request.method != "GET" or not _carries_weights(request.path):
            return Faults()
        with self._lock:
            if (rest := _asked(request, self.size)) < 2 or not self.cuts:
                return Faults()
            self.cuts -= 1
            return Faults(cut_after=self._random.randrange(1, rest))


def _carries_weights(path: str) -> bool:
    return path.endswith(".safetensors") or "/objects/storage/" in path or "/lfs-objects/" in path


def _asked(request: Request, size: int) -> int:
    """Bytes that a request asks for, of a file of so many."""
    lower = {name.lower(): value for name, value in request.headers.items()}
    first, _, last = lower.get("range", "bytes=0-").partition("=")[2].partition("-")
    return (int(last) + 1 if last else size) - int(first)
