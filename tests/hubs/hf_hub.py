"""A server that answers as Hugging Face's hub does to `huggingface_hub`, `hf download` and whoever speaks its API.

The requests and headers are those of huggingface_hub 2.4 (hf_api.py, file_download.py, utils/_http.py); the documents
are at https://huggingface.co/docs/hub/api. Weights are not redirected to another place, and there is no Xet.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from flask import Flask, Response, jsonify, request

from .content import Content, Repositories, Repository
from .serving import Hub, ranged, token_of


class Refused(Exception):  # noqa: N818 - an answer, not a failure
    """An answer with a status, the code of X-Error-Code, and words."""


class HuggingFaceHub(Hub):
    """`HF_ENDPOINT=hub.url`; models come from `add`, and `token` opens the private and gated ones."""

    def __init__(self, *, token: str = "", listen: str = "127.0.0.1", port: int = 0) -> None:
        """Have no models yet."""
        super().__init__(listen, port)
        self.repositories = Repositories(token)
        self.add = self.repositories.add
        self.known = self.repositories.known
        self.page = 1000
        """How many entries a page of a tree has."""
        app, model = Flask(__name__), "/api/models/<owner>/<name>"
        app.json.ensure_ascii = False  # type: ignore[attr-defined]
        for path, view in {
            model: self._info,
            f"{model}/revision/<path:revision>": self._info,
            f"{model}/tree/<path:revision>": self._tree,
            f"{model}/refs": self._refs,
            "/<owner>/<name>/resolve/<revision>/<path:file>": self._file,
            "/api/models": self._search,
            "/api/whoami-v2": self._whoami,
        }.items():
            app.add_url_rule(path, path, view)
        app.register_error_handler(Refused, _refusal)
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Answer a request."""
        return self._app(environ, start_response)

    def _may(self) -> bool:
        """Whether the request's token is ours; one that is nobody's is refused whatever it is for."""
        token = token_of(request)
        if token and token != self.repositories.token:
            raise Refused(401, "", "Invalid credentials in Authorization header")
        return bool(token)

    def _model(self, owner: str, name: str) -> Repository:
        model, may = self.known.get(f"{owner}/{name}"), self._may()
        if not model or (model.private and not may):
            raise Refused(404 if may else 401, "RepoNotFound", "Repository not found")
        return model

    def _commit(self, model: Repository, revision: str) -> str:
        commit = model.commit(revision)
        if not commit:
            raise Refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return commit

    def _info(self, owner: str, name: str, revision: str = "main") -> Response:
        model = self._model(owner, name)
        commit, blobs = self._commit(model, revision), request.args.get("blobs", "").lower() in ("true", "1")
        siblings = [_sibling(path, each, blobs) for path, each in model.commits[commit].items()]
        return jsonify({"siblings": siblings, "sha": commit, **_about(model)})

    def _tree(self, owner: str, name: str, revision: str) -> Response:
        model = self._model(owner, name)
        files = model.commits[self._commit(model, revision)]
        folders = {parent.as_posix() for path in files for parent in Path(path).parents} - {"."}
        entries = [_entry(path, each) for path, each in files.items()]
        entries += [{"type": "directory", "oid": "0" * 40, "size": 0, "path": path} for path in folders]
        if request.args.get("recursive", "").lower() not in ("true", "1"):
            entries = [each for each in entries if "/" not in each["path"]]
        start = int(request.args.get("cursor", 0))
        answer = jsonify(sorted(entries, key=lambda each: str(each["path"]))[start : start + self.page])
        if start + self.page < len(entries):
            following = f"{request.base_url}?recursive=true&cursor={start + self.page}"
            answer.headers["Link"] = f'<{following}>; rel="next"'
        return answer

    def _refs(self, owner: str, name: str) -> Response:
        model = self._model(owner, name)
        kinds = {"branches": ("heads", model.branches), "tags": ("tags", model.tags)}
        refs = {
            kind: [{"name": each, "ref": f"refs/{under}/{each}", "targetCommit": to} for each, to in known.items()]
            for kind, (under, known) in kinds.items()
        }
        return jsonify({**refs, "converts": []})

    def _file(self, owner: str, name: str, revision: str, file: str) -> Response:
        model = self._model(owner, name)
        if model.gated and not self._may():
            raise Refused(401, "GatedRepo", f"Access to model {model.id} is restricted. You must be authenticated.")
        commit = self._commit(model, revision)
        content = model.commits[commit].get(file)
        if not content:
            raise Refused(404, "EntryNotFound", "Entry not found")
        headers = {"X-Repo-Commit": commit}
        if content.lfs:
            headers |= {"X-Linked-Etag": f'"{content.sha256}"', "X-Linked-Size": str(content.size)}
        headers["Content-Disposition"] = f"inline; filename*=UTF-8''{quote(Path(file).name)}"
        return ranged(request, content.file, content.sha256 if content.lfs else content.oid, headers)

    def _search(self) -> Response:
        asked, author = request.args.get("search", "").lower(), request.args.get("author", "")
        found = [
            _about(each)
            for each in self.known.values()
            if asked in each.id.lower() and each.id.startswith(f"{author}/" if author else "") and not each.private
        ]
        return jsonify(found[: int(request.args.get("limit", 1000))])

    def _whoami(self) -> Response:
        if not self._may():
            raise Refused(401, "", "Invalid credentials in Authorization header")
        return jsonify({"type": "user", "name": "tests"})


def _about(model: Repository) -> dict[str, Any]:
    gated = "manual" if model.gated else False
    return {"id": model.id, "modelId": model.id, "private": model.private, "gated": gated, "tags": [], "downloads": 0}


def _sibling(path: str, content: Content, blobs: bool) -> dict[str, Any]:
    if not blobs:
        return {"rfilename": path}
    about: dict[str, Any] = {"rfilename": path, "size": content.size, "blobId": content.oid}
    lfs = {"sha256": content.sha256, "size": content.size, "pointerSize": len(content.pointer)}
    return about | ({"lfs": lfs} if content.lfs else {})


def _entry(path: str, content: Content) -> dict[str, Any]:
    about: dict[str, Any] = {"type": "file", "path": path, "size": content.size, "oid": content.oid}
    lfs = {"oid": content.sha256, "size": content.size, "pointerSize": len(content.pointer)}
    return about | ({"lfs": lfs} if content.lfs else {})


def _refusal(refused: Refused) -> Response:
    status, code, words = refused.args
    answer = jsonify({"error": words})
    answer.status_code = status
    answer.headers.update({"X-Error-Message": words, **({"X-Error-Code": code} if code else {})})
    return answer
