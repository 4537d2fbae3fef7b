"""A hub of this machine: the few answers that ``datasets`` needs to load a data set, over HTTP."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "0a1b2c3d" * 5


class Answer(BaseHTTPRequestHandler):
    """Serves the folders ``OWNER/NAME`` of a folder as data sets."""

    folder: Path

    def do_HEAD(self) -> None:
        """Say how large something is."""
        self._answer(self._find())

    def do_GET(self) -> None:
        """Say what a data set consists of, or give a file."""
        self._answer(self._find())

    def do_POST(self) -> None:
        """Say what there is of the paths that are asked for."""
        asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
        paths = json.loads(asked)["paths"] if asked.startswith("{") else parse_qs(asked).get("paths", [])
        home = self.folder.joinpath(*self._parts[2:4])
        self._answer(json.dumps([describe(home, path) for path in paths if (home / path).exists()]).encode())

    @property
    def _parts(self) -> list[str]:
        return unquote(urlsplit(self.path).path).strip("/").split("/")

    def _find(self) -> bytes | None:
        parts = self._parts
        if parts[0] == "datasets":
            file = self.folder.joinpath(*parts[1:3], *parts[5:])
            return file.read_bytes() if file.is_file() else None
        home = self.folder.joinpath(*parts[2:4])
        if not home.is_dir():
            return None
        names = sorted(path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file())
        if parts[4:5] == ["tree"]:
            return json.dumps([describe(home, name) for name in names]).encode()
        files = [{"rfilename": name} for name in names]
        return json.dumps({"id": "/".join(parts[2:4]), "sha": COMMIT, "siblings": files}).encode()

    def _answer(self, content: bytes | None) -> None:
        self.send_response(200 if content is not None else 404)
        if content is None:
            self.send_header("X-Error-Code", "EntryNotFound" if self._parts[0] == "datasets" else "RepoNotFound")
        body = content or b""
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serve_hub(folder: Path) -> Iterator[str]:
    """Serve a folder during the block; gives the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Here", (Answer,), {"folder": folder}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def describe(home: Path, name: str) -> dict[str, object]:
    """A file or folder as the hub lists it."""
    path = home / name
    oid = hashlib.sha256(name.encode()).hexdigest()[:40]
    return {"type": "directory" if path.is_dir() else "file", "path": name, "oid": oid, "size": path.stat().st_size}
