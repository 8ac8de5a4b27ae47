"""A server that answers as ModelScope does to `modelscope` (SDK and command line, 1.40 with modelscope-hub 0.5).

The requests are those of modelscope_hub/_legacy_api.py, _download.py and _openapi.py. Answers that the package does not
document are as they have been measured at www.modelscope.cn by others: every refusal is a 404 told apart by its Code,
a listing ends silently after 3,000 entries, small files know no open range, and weights come from another place.
"""

from __future__ import annotations

import re
import uuid
from pathlib import Path
from typing import Any

from flask import Flask, Response, jsonify, redirect, request

from .content import Content, Repositories, Repository
from .git_hub import GitServer
from .serving import Hub, ranged, token_of

NOT_FOUND = 10010205001, "获取模型信息失败，信息：record not found"
NO_ACCESS = 10010200001, "无权限访问该模型"
NO_TREE = 10990101004, "获取模型目录树失败"
NO_FILE = 10990101007, "获取模型文件失败，文件内容为空"
BAD_TOKEN = 10010103009, "AccessToken is invalid or expired"


class Refused(Exception):  # noqa: N818 - an answer, not a failure
    """An answer with one of ModelScope's codes."""


class ModelScopeHub(Hub):
    """`MODELSCOPE_ENDPOINT=hub.url`; models come from `add`, and `token` opens the private ones."""

    def __init__(
        self, *, token: str = "", git: GitServer | None = None, listen: str = "127.0.0.1", port: int = 0
    ) -> None:
        """Have no models yet. `git` answers for `OWNER/NAME.git`, under this same address; it need not serve itself."""
        super().__init__(listen, port)
        self._git = git
        self.repositories = Repositories(token, default_branch="master")
        self.add = self.repositories.add
        self.known = self.repositories.known
        self.longest = 3000
        """How many entries a listing has at most."""
        app, model = Flask(__name__), "/api/v1/models/<owner>/<name>"
        app.json.ensure_ascii = False  # type: ignore[attr-defined]
        for path, view in {
            model: self._info,
            f"/openapi{model.removeprefix('/api')}": self._info,
            "/openapi/v1/models": self._search,
            f"{model}/revisions": self._revisions,
            f"{model}/commits": self._commits,
            f"{model}/repo/files": self._files,
            f"{model}/repo": self._file,
            "/prod/lfs-objects/<sha256>": self._object,
            "/api/v1/repos/internalAccelerationInfo": lambda: _answer({"InternalRegionQueryAddress": ""}),
        }.items():
            app.add_url_rule(path, path, view)
        app.add_url_rule("/api/v1/login", view_func=self._login, methods=["POST"])
        app.register_error_handler(Refused, lambda error: _answer(None, 404, *error.args))
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Answer a request."""
        if self._git and re.match(r"/[^/]+/[^/]+\.git/", environ["PATH_INFO"]):
            return self._git(environ, start_response)
        return self._app(environ, start_response)

    @staticmethod
    def object_path(sha256: str) -> str:
        """The path of an LFS file's content, to which the API redirects."""
        return f"/prod/lfs-objects/{sha256}"

    def _model(self, owner: str, name: str) -> Repository:
        model = self.known.get(f"{owner}/{name}")
        if not model:
            raise Refused(*NOT_FOUND)
        if (model.private or model.gated) and token_of(request) != self.repositories.token:
            raise Refused(*NO_ACCESS)
        return model

    def _tree(self, model: Repository) -> dict[str, Content]:
        commit = model.commit(request.args.get("Revision") or "master")
        if not commit:
            raise Refused(*NO_TREE)
        return model.commits[commit]

    def _info(self, owner: str, name: str) -> Response:
        model = self._model(owner, name)
        return _answer({"Path": owner, "Name": name, "Visibility": 1 if model.private else 5})

    def _revisions(self, owner: str, name: str) -> Response:
        model = self._model(owner, name)
        branches, tags = (
            [{"Revision": each, "CreatedAt": 1700000000} for each in known] for known in (model.branches, model.tags)
        )
        return _answer({"RevisionMap": {"Branches": branches, "Tags": tags}})

    def _commits(self, owner: str, name: str) -> Response:
        model = self._model(owner, name)
        commit = model.commit(request.args.get("Ref") or "master")
        return _answer({"Commit": [{"Id": commit}] if commit else None, "TotalCount": 1 if commit else 0})

    def _files(self, owner: str, name: str) -> Response:
        files, root = self._tree(self._model(owner, name)), request.args.get("Root", "").strip("/")
        entries = {path: _file_entry(path, content) for path, content in files.items()}
        folders = {parent.as_posix() for path in files for parent in Path(path).parents} - {"."}
        entries |= {path: {"Path": path, "Name": Path(path).name, "Size": 0, "Type": "tree"} for path in folders}
        below = f"{root}/" if root else ""
        deep = request.args.get("Recursive", "").lower() in ("true", "1")
        found = [
            entries[path]
            for path in sorted(entries)
            if path.startswith(below) and (deep or "/" not in path.removeprefix(below))
        ]
        if root and not found:
            raise Refused(*NO_TREE)
        return _answer({"Files": found[: self.longest], "TotalCount": min(len(found), self.longest)})

    def _file(self, owner: str, name: str) -> Response:
        content = self._tree(self._model(owner, name)).get(request.args.get("FilePath", ""))
        if not content:
            raise Refused(*NO_FILE)
        if content.lfs:
            return redirect(f"{request.host_url.rstrip('/')}{self.object_path(content.sha256)}")
        data, headers = content.file.read_bytes(), {"Accept-Ranges": "bytes"}
        if asked := re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("Range", "")):
            first, last = int(asked[1]), min(int(asked[2]), len(data) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            data = data[first : last + 1]
        return Response(data, 200, headers, mimetype="application/octet-stream")

    def _object(self, sha256: str) -> Response:
        files = [file for model in self.known.values() for tree in model.commits.values() for file in tree.values()]
        found = next((each for each in files if each.lfs and each.sha256 == sha256), None)
        return ranged(request, found.file, sha256) if found else Response("no such object", 404)

    def _login(self) -> Response:
        token = (request.get_json(silent=True) or {}).get("AccessToken", "")
        if not token or token != self.repositories.token:
            return _answer(None, 400, *BAD_TOKEN)
        answer = _answer({"AccessToken": token, "Username": "tests", "Email": "tests@localhost"})
        answer.set_cookie("m_session_id", token)
        return answer

    def _search(self) -> Response:
        asked = request.args.get("search", "").lower()
        ids = [each for each, model in self.known.items() if asked in each.lower() and not model.private]
        return jsonify({"success": True, "data": {"models": [{"id": each} for each in ids], "total_count": len(ids)}})


def _file_entry(path: str, content: Content) -> dict[str, Any]:
    about = {"Path": path, "Name": Path(path).name, "Type": "blob", "Mode": "33188", "IsLFS": content.lfs}
    return {**about, "Size": content.size, "Sha256": content.sha256}


def _answer(data: Any, status: int = 200, code: int = 200, message: str = "success") -> Response:
    body = {"Code": code, "Data": data, "Message": message, "RequestId": str(uuid.uuid4()), "Success": status == 200}
    answer = jsonify(body)
    answer.status_code = status
    return answer
