"""A git server as hubs have one: smart HTTP by `git http-backend`, Git LFS by giftless, under one address."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from werkzeug.wrappers import Request, Response

from . import lfs
from .content import LFS, Content, contents
from .serving import Hub, ranged, token_of

SETTINGS = {
    "http.receivepack": "false",
    "uploadpack.allowFilter": "true",
    "uploadpack.allowReachableSHA1InWant": "true",
}
"""What public hubs allow: partial clones, and fetching a commit by its name."""


class GitServer(Hub):
    """`BASE/OWNER/NAME.git` clones, and `git lfs pull` works there. Objects are served with ranges.

    giftless' own streaming knows none, so this answers for the objects; the batch API is giftless'.
    """

    def __init__(self, folder: Path, *, token: str = "", listen: str = "127.0.0.1", port: int = 0) -> None:
        """Keep everything in a folder. `token` opens private repositories, as a password (any user) or a bearer."""
        super().__init__(listen, port)
        self.folder, self.token = folder, token
        self.private: set[str] = set()
        self._lfs = lfs.application()

    def add(self, id: str, source: Path, *, branch: str = "master", tag: str = "", private: bool = False) -> str:
        """Commit a folder's present files to a branch, and give the commit's name; the first branch is HEAD."""
        if private:
            self.private.add(id)
        target = self._repository(id)
        if not target.exists():
            _git(None, "init", "-q", "--bare", f"--initial-branch={branch}", str(target))
            for name, value in SETTINGS.items():
                _git(target, "config", name, value)
        files, parents = contents(source), _git(target, "for-each-ref", f"refs/heads/{branch}")
        _git(target, "fast-import", "--quiet", input=_fast_import(branch, files, again=bool(parents)))
        for content in files.values():
            if content.lfs:
                self._keep(id, content)
        if tag:
            _git(target, "tag", tag, branch)
        return _git(target, "rev-parse", branch).strip()

    def clone_url(self, id: str) -> str:
        """What `git clone` takes."""
        return f"{self.url}/{id}.git"

    def object_path(self, id: str, sha256: str) -> Path:
        """Where an LFS object lies, for a test that spoils or removes it."""
        return self.folder / "lfs" / id / sha256

    def _repository(self, id: str) -> Path:
        return self.folder / "git" / f"{id}.git"

    def _keep(self, id: str, content: Content) -> None:
        place = self.object_path(id, content.sha256)
        place.parent.mkdir(parents=True, exist_ok=True)
        # cp keeps the holes of a sparse file, so 4 GB cost neither time nor room.
        subprocess.run(["cp", "--sparse=always", "--reflink=auto", content.file, place], check=True)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request: refused, an object, LFS, or git."""
        request = Request(environ)
        asked = re.fullmatch(r"/([^/]+/[^/]+?)(?:\.git)?(/(?:info|objects|HEAD|git-).*)", request.path)
        if not asked or not self._repository(asked[1]).exists():
            return Response("no such repository\n", 404)(environ, start_response)
        refused = self._refused(asked[1], token_of(request))
        if refused:
            return refused(environ, start_response)
        found = re.fullmatch(r"/info/lfs/objects/storage/([0-9a-f]{64})", asked[2])
        if found and request.method in ("GET", "HEAD") and self.object_path(asked[1], found[1]).exists():
            return ranged(request, self.object_path(asked[1], found[1]), found[1])(environ, start_response)
        if asked[2].startswith("/info/lfs/"):
            return self._lfs({**environ, lfs.FOLDER: str(self.folder / "lfs")}, start_response)
        path = f"/{asked[1]}.git{asked[2]}"
        return http_backend(self.folder / "git", path, request)(environ, start_response)

    def _refused(self, id: str, token: str) -> Response | None:
        if id not in self.private or token == self.token:
            return None
        if token:
            return Response("this token may not read the repository\n", 403)
        return Response("log in\n", 401, {"WWW-Authenticate": 'Basic realm="hub"'})


def _fast_import(branch: str, files: dict[str, Content], again: bool) -> bytes:
    """What git fast-import reads: one commit that holds these files and no others."""
    attributes = "".join(f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in LFS).encode()
    stored = {".gitattributes": attributes} | {path: content.stored for path, content in files.items()}
    ref = b"refs/heads/%s" % branch.encode()
    stream = [b"commit %s\ncommitter tests <tests@localhost> 1700000000 +0000\ndata 5\nfiles\n" % ref]
    stream.append(b"from %s^0\ndeleteall\n" % ref if again else b"deleteall\n")
    for path, data in stored.items():
        stream.append(b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data))
    return b"".join(stream)


def _git(repository: Path | None, *arguments: str, input: bytes = b"") -> str:
    place = ["-C", str(repository)] if repository else []
    done = subprocess.run(["git", *place, *arguments], input=input, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"git {' '.join(arguments)}: {done.stderr.decode()}")
    return done.stdout.decode()


def http_backend(root: Path, path: str, request: Request) -> Response:
    """Run git's CGI program (git help http-backend, RFC 3875) for one request."""
    told = {
        "GIT_PROJECT_ROOT": str(root),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": path,
        "QUERY_STRING": request.query_string.decode(),
        "REQUEST_METHOD": request.method,
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": request.headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(request.data)),
        "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
        "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
        # Whoever runs the tests may not be the owner of the folder.
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
    }
    with tempfile.TemporaryFile() as body:
        body.write(request.data)
        body.seek(0)
        program = subprocess.Popen(
            ["git", "http-backend"], stdin=body, stdout=subprocess.PIPE, env={**os.environ, **told}
        )
    assert program.stdout
    headers: dict[str, str] = {}
    while line := program.stdout.readline().decode().strip():
        name, _, value = line.partition(":")
        headers[name] = value.strip()
    status = int(headers.pop("Status", "200").split()[0])
    return Response(_output(program), status, headers, direct_passthrough=True)


def _output(program: subprocess.Popen[bytes]) -> Iterator[bytes]:
    assert program.stdout
    try:
        while data := program.stdout.read1(65536):  # type: ignore[attr-defined]
            yield data
    finally:
        program.kill()
        program.wait()
