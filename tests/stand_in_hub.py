"""A hub of models and its CDN on loopback, as huggingface_hub meets them; HF_ENDPOINT leads there.

Repositories have commits, branches and files. A small file is answered through a redirect on the hub, a large one
through a signed URL of the CDN, which is another origin. The hub can be told to be slow, to break off and to refuse.
"""

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote, unquote, urlsplit

import pytest

LARGE = (".safetensors", ".bin", ".pt", ".pth")
GATED = "Access to model {} is restricted. You must have access to it and be authenticated to access it."
INVALID = "Invalid credentials in Authorization header"
SIGNED = "Signature=planted-signature"
Files = dict[str, bytes]


@dataclass
class Repository:
    """Commits by their ids, and what branches and tags name."""

    commits: dict[str, Files] = field(default_factory=dict)
    revisions: dict[str, str] = field(default_factory=dict)
    gated: bool = False
    private: bool = False

    def find(self, revision: str) -> str | None:
        return self.revisions.get(revision, revision if revision in self.commits else None)


class StandInHub:
    """Two servers: the hub's, whose address is `url`, and the CDN's."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.renamed: dict[str, str] = {}
        self.tokens = {"known": False, "admitted": True}  # and whether they admit to gated repositories
        self.asked: list[str] = []
        self.told_to_cdn: list[str] = []  # values of Authorization, which a CDN must never see
        self.status: int | None = None  # of every answer
        self.breaks_at: int | None = None  # bytes of a large file after which the connection ends
        self.breaks = 0  # how often
        self.cut: int | None = None  # bytes of a large file that are sent as if they were all
        self.xet: str | None = None  # the address of a storage service of another protocol, which holds large files
        self.alters = False  # whether a large file comes with other bytes
        self.ranges = True
        self.silent: tuple[str, ...] = ()  # of these paths' parts, requests wait until the end
        self.hangs_up = False  # whether the hub closes connections without an answer
        self.wait: str | None = None  # Retry-After of refusals by `status`
        self.trickles = False  # a large file comes a byte at a time
        self.over = threading.Event()
        self._servers = [_Server(self, _Hub), _Server(self, _Cdn)]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._servers[0].server_port}"

    @property
    def cdn(self) -> str:
        return f"http://127.0.0.1:{self._servers[1].server_port}"

    def push(self, name: str, files: Path | Files, *, revision: str = "main") -> str:
        """Make a commit of a repository, to which `revision` leads. Returns its id."""
        if isinstance(files, Path):
            files = {path.name: path.read_bytes() for path in files.iterdir()}
        repository = self.repositories.setdefault(name, Repository())
        told = (
            f"{len(repository.commits)} {sorted((key, hashlib.sha1(data).hexdigest()) for key, data in files.items())}"
        )
        commit = hashlib.sha1(told.encode()).hexdigest()
        repository.commits[commit] = dict(files)
        repository.revisions[revision] = commit
        return commit

    def start(self) -> None:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        """Stop listening; connections are refused from then on."""
        self.over.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()


@contextmanager
def stand_in_hub() -> Iterator[StandInHub]:
    hub = StandInHub()
    hub.start()
    try:
        yield hub
    finally:
        hub.stop()


def ask(hub: StandInHub, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """Do what HF_ENDPOINT and HF_HOME do before the client is imported, and wait for nothing between attempts."""
    constants = {
        "ENDPOINT": hub.url,
        "HUGGINGFACE_CO_URL_TEMPLATE": f"{hub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}",
        "HF_HUB_CACHE": str(cache / "hub"),
        "HF_TOKEN_PATH": str(cache / "token"),
        "HF_HUB_DISABLE_XET": False,
        "HF_HUB_ETAG_TIMEOUT": 10,
        "HF_HUB_DOWNLOAD_TIMEOUT": 10,
    }
    for name, value in constants.items():
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_XET_CLIENT_RETRY_MAX_ATTEMPTS", "1")
    for module in ("file_download", "utils._http"):
        monkeypatch.setattr(f"huggingface_hub.{module}.time", SimpleNamespace(sleep=lambda seconds: None))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, hub: StandInHub, handler: type["_Handler"]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.hub = hub

    def handle_error(self, *given: object) -> None:
        pass  # who breaks off is heard here


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    disable_nagle_algorithm = True

    def log_message(self, *given: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        hub, parts = self.server.hub, urlsplit(self.path)
        hub.asked.append(f"{self.command} {unquote(parts.path)}")
        if any(part in self.path for part in hub.silent):
            hub.over.wait(30)
            self.close_connection = True
            return
        if hub.hangs_up:
            self.close_connection = True
            return
        if hub.status:
            self._answer(hub.status, b"", **({"Retry_After": hub.wait} if hub.wait else {}))
            return
        self._serve(unquote(parts.path))

    def _serve(self, path: str) -> None:
        raise NotImplementedError

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.close_connection = True  # so that a stopped hub answers nobody
        self.send_response(status)
        for name, value in {"Content_Length": str(len(body)), "Connection": "close", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class _Hub(_Handler):
    def _serve(self, path: str) -> None:
        if path.startswith("/api/resolve-cache/models/"):
            owner, name, commit, file = path.removeprefix("/api/resolve-cache/models/").split("/", 3)
            self._small(f"{owner}/{name}", commit, file)
        elif path.startswith("/api/models/"):
            owner, name, *rest = path.removeprefix("/api/models/").split("/", 3)
            kind, revision = (rest + ["revision", "main"][len(rest) :])[:2]
            if kind == "xet-read-token":
                self._storage()
                return
            self._described(f"{owner}/{name}", kind, revision)
        else:
            owner, name, _, revision, file = path.removeprefix("/").split("/", 4)
            self._resolved(f"{owner}/{name}", revision, file)

    def _refused(self, status: int, code: str | None, message: str) -> None:
        body = json.dumps({"error": message}).encode()
        self._answer(status, body, X_Error_Message=message, **({"X_Error_Code": code} if code else {}))

    def _found(self, name: str, revision: str) -> tuple[Repository, str] | None:
        """The repository and commit; None where the request has been refused, in the hub's own words and codes."""
        hub = self.server.hub
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        repository = hub.repositories.get(name)
        if token and token not in hub.tokens:
            self._refused(401, None, INVALID)
        elif repository is None or (repository.private and not token):
            self._refused(*((404, "RepoNotFound") if token else (401, None)), "Repository not found")
        elif (commit := repository.find(revision)) is None:
            self._refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        else:
            return repository, commit
        return None

    def _moved(self, name: str) -> bool:
        hub = self.server.hub
        if name in hub.renamed:
            self._answer(307, b"", Location=self.path.replace(name, hub.renamed[name]))
        return name in hub.renamed

    def _described(self, name: str, kind: str, revision: str) -> None:
        if self._moved(name) or (found := self._found(name, revision)) is None:
            return
        repository, commit = found
        files = repository.commits[commit]
        listed = [{"type": "directory", "oid": commit, "size": 0, "path": key.rpartition("/")[0]} for key in files]
        tree = [entry for entry in listed if entry["path"]]
        tree += [{"type": "file", "size": len(data), "path": key, **_oids(key, data)} for key, data in files.items()]
        if self.server.hub.xet is not None:
            tree = [entry | ({"xetHash": hashlib.sha256(b"x").hexdigest()} if "lfs" in entry else {}) for entry in tree]
        about = {"_id": "1", "id": name, "modelId": name, "sha": commit, "private": repository.private}
        about |= {"gated": "manual" if repository.gated else False, "tags": [], "downloads": 0, "likes": 0}
        about |= {"siblings": [{"rfilename": key} for key in files]}
        body = json.dumps(tree if kind == "tree" else about).encode()
        self._answer(200, body, Content_Type="application/json")

    def _storage(self) -> None:
        """Where the storage service is, unless this hub knows of none."""
        if not self.server.hub.xet:
            self._refused(404, None, "Not found")
            return
        place = {"X_Xet_Cas_Url": self.server.hub.xet, "X_Xet_Access_Token": "token"}
        self._answer(200, b"{}", X_Xet_Token_Expiration=str(int(time.time()) + 600), **place)

    def _resolved(self, name: str, revision: str, file: str) -> None:
        if self._moved(name) or (found := self._found(name, revision)) is None:
            return
        repository, commit = found
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if repository.gated and not self.server.hub.tokens.get(token, False):
            self._refused(403 if token else 401, "GatedRepo", GATED.format(name))
            return
        if (data := repository.commits[commit].get(file)) is None:
            self._refused(404, "EntryNotFound", "Entry not found")
            return
        headers = {"X_Repo_Commit": commit, "X_Linked_Size": str(len(data)), "X_Linked_ETag": _etag(file, data)}
        if file.endswith(LARGE):
            target = f"{self.server.hub.cdn}/{quote(name)}/{commit}/{quote(file)}?Expires=1&{SIGNED}"
            self._answer(302, b"", Location=target, **headers)
        else:
            target = f"/api/resolve-cache/models/{quote(name)}/{commit}/{quote(file)}"
            self._answer(307, b"", Location=target, **headers)

    def _small(self, name: str, commit: str, file: str) -> None:
        data = self.server.hub.repositories[name].commits[commit][file]
        self._answer(200, data, ETag=_etag(file, data), X_Repo_Commit=commit)


class _Cdn(_Handler):
    def _serve(self, path: str) -> None:
        hub = self.server.hub
        if "Authorization" in self.headers:
            hub.told_to_cdn.append(self.headers["Authorization"])
        if SIGNED not in self.path:
            self._answer(403, b"")
            return
        owner, name, commit, file = path.removeprefix("/").split("/", 3)
        data = hub.repositories[f"{owner}/{name}"].commits[commit][file][: hub.cut]
        data = data.swapcase() if hub.alters else data
        headers, status, first = {"ETag": _etag(file, data), "Accept_Ranges": "bytes"}, 200, 0
        if hub.ranges and (asked := self.headers.get("Range")):
            first, status = int(asked.removeprefix("bytes=").partition("-")[0]), 206
            headers["Content_Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
            hub.asked.append(f"RANGE {first}-")
        self._body(status, data[first:], headers)

    def _body(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        hub = self.server.hub
        headers["Content_Length"] = str(len(data))
        if hub.trickles:
            self._answer(status, data[:1], **headers)
            while not hub.over.wait(0.05):
                self.wfile.write(b"\0")
        elif hub.breaks_at is not None and hub.breaks:
            hub.breaks -= 1
            self._answer(status, data[: hub.breaks_at], **headers)
        else:
            self._answer(status, data, **headers)


def _etag(file: str, data: bytes) -> str:
    return f'"{hashlib.sha256(data).hexdigest() if file.endswith(LARGE) else _blob(data)}"'


def _blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _oids(file: str, data: bytes) -> dict[str, object]:
    if not file.endswith(LARGE):
        return {"oid": _blob(data)}
    return {"oid": _blob(data), "lfs": {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}}
