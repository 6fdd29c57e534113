"""A stand-in for the Hugging Face hub: the requests by which its client uploads and fetches models, on this machine."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from local_server import served

TOKEN = "hf_of_the_owner"


class Hub(BaseHTTPRequestHandler):
    """Repositories in the server's ``repositories``: name -> private, branches (name -> commit), commits (-> files)."""

    server: Any

    def do_HEAD(self):
        self._answer()

    def do_GET(self):
        self._answer()

    def do_POST(self):
        self._answer()

    def do_PUT(self):
        self._answer()

    def log_message(self, *_arguments):
        pass

    def _answer(self):
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = unquote(urlsplit(self.path).path)
        self.server.requests.append((self.command, path))
        for method, pattern, answer in ROUTES:
            found = re.fullmatch(pattern, path)
            if found and method == self.command:
                answer(self, *found.groups())
                return
        self._send(404, {"error": "no such page"})

    def _send(self, status, content=None, headers=(), *, body=None):
        body = json.dumps(content).encode() if body is None else body
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **dict(headers)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: self.server.cut])

    def _refuse(self, status, code, text="refused"):
        self._send(status, {"error": text}, {"X-Error-Code": code, "X-Error-Message": text} if code else {})

    def _may_write(self):
        if self.headers.get("Authorization") == f"Bearer {TOKEN}":
            return True
        self._refuse(401, None, "Invalid username or password.")
        return False

    def _readable(self, name):
        """The repository, if it is there for this client; else the answer is sent."""
        found = self.server.repositories.get(name)
        if found is not None and (not found["private"] or self.headers.get("Authorization") == f"Bearer {TOKEN}"):
            return found
        self._refuse(401, "RepoNotFound", "Repository not found")
        return None

    def create(self):
        if not self._may_write():
            return
        asked = json.loads(self.body)
        name = f"{asked['organization']}/{asked['name']}"
        url = {"url": f"{self.server.url}/{name}", "name": name}
        if name in self.server.repositories:
            self._send(409, {"error": "You already created this model repo", **url})
            return
        private = asked.get("private", asked.get("visibility") == "private")
        self.server.repositories[name] = {"private": private, "branches": {}, "commits": {}}
        add_commit(self.server, name, {".gitattributes": b"*.safetensors filter=lfs\n"})
        self._send(200, url)

    def info(self, name):
        found = self._readable(name)
        if found is not None:
            self._send(200, {"id": name, "private": found["private"], "sha": found["branches"]["main"], "siblings": []})

    def branch(self, name, branch):
        if self._may_write():
            branches = self.server.repositories[name]["branches"]
            status = 409 if branch in branches else 200
            branches.setdefault(branch, branches["main"])
            self._send(status, {})

    def validate(self):
        self._send(200, {"errors": [], "warnings": []})

    def preupload(self, _name, _revision):
        modes = {True: "lfs", False: "regular"}
        files = [
            {
                "path": file["path"],
                "uploadMode": modes[self.server.lfs and file["path"].endswith(".safetensors")],
                "shouldIgnore": False,
            }
            for file in json.loads(self.body)["files"]
        ]
        if self._may_write():
            self._send(200, {"files": files})

    def batch(self, _name):
        if not self._may_write():
            return
        objects = [
            {**each, "actions": {"upload": {"href": f"{self.server.url}/objects/{each['oid']}"}}}
            for each in json.loads(self.body)["objects"]
        ]
        self._send(200, {"transfer": "basic", "objects": objects})

    def store(self, oid):
        matches = hashlib.sha256(self.body).hexdigest() == oid
        self.server.objects[oid] = self.body
        self._send(200 if matches else 400, {})

    def commit(self, name, revision):
        if not self._may_write():
            return
        files = {}
        for line in map(json.loads, self.body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server.objects[value["oid"]]
        commit = add_commit(self.server, name, files, revision)
        self._send(
            200, {"commitUrl": f"{self.server.url}/{name}/commit/{commit}", "commitOid": commit, "success": True}
        )

    def resolve(self, name, revision, path):
        found = self._readable(name)
        if found is None:
            return
        commit = found["branches"].get(revision, revision)
        if commit not in found["commits"]:
            self._refuse(404, "RevisionNotFound")
        elif path not in (files := found["commits"][commit]):
            self._send(404, {}, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
        else:
            etag = hashlib.sha256(files[path]).hexdigest()
            self._send(200, headers={"ETag": f'"{etag}"', "X-Repo-Commit": commit}, body=files[path])


NAME = r"([\w.-]+/[\w.-]+)"
ROUTES = (
    ("POST", "/api/repos/create", Hub.create),
    ("POST", "/api/validate-yaml", Hub.validate),
    ("GET", f"/api/models/{NAME}", Hub.info),
    ("POST", f"/api/models/{NAME}/branch/(.+)", Hub.branch),
    ("POST", f"/api/models/{NAME}/preupload/(.+)", Hub.preupload),
    ("POST", f"/api/models/{NAME}/commit/(.+)", Hub.commit),
    ("POST", rf"/{NAME}\.git/info/lfs/objects/batch", Hub.batch),
    ("PUT", "/objects/([0-9a-f]{64})", Hub.store),
    ("HEAD", f"/{NAME}/resolve/([^/]+)/(.+)", Hub.resolve),
    ("GET", f"/{NAME}/resolve/([^/]+)/(.+)", Hub.resolve),
)


def add_commit(hub, name, files, branch="main"):
    """Add files to a branch, which is made if there is none; returns the commit."""
    repository = hub.repositories.setdefault(name, {"private": False, "branches": {}, "commits": {}})
    parent = repository["branches"].get(branch)
    commit = hashlib.sha1(f"{name} {branch} {len(repository['commits'])}".encode()).hexdigest()
    repository["commits"][commit] = {**repository["commits"].get(parent, {}), **files}
    repository["branches"][branch] = commit
    return commit


@contextmanager
def hub_stand_in(cache):
    """A hub, reached by the client of this process and of those that it starts, with its owner's token."""
    client = pytest.importorskip("huggingface_hub")
    constants = pytest.importorskip("huggingface_hub.constants")
    with (
        pytest.MonkeyPatch.context() as patch,
        served(Hub, repositories={}, objects={}, requests=[], lfs=True, cut=None) as hub,
    ):
        reach(patch, constants, hub.url)
        patch.setattr(constants, "HF_HUB_CACHE", str(cache))
        patch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        programs = {"HF_ENDPOINT": hub.url, "HF_HUB_CACHE": str(cache), "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": TOKEN}
        for name, value in programs.items():
            patch.setenv(name, value)
        client.close_session()  # it would go through the proxy of the environment that it was opened in
        yield hub
    client.close_session()


def reach(patch, constants, url):
    """Let the client ask another address."""
    patch.setattr(constants, "ENDPOINT", url)
    patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
