"""A hub of this machine: the few answers that models and data sets need to be loaded, over HTTP."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "0a1b2c3d" * 5


@dataclass(frozen=True)
class Hub:
    """Where the hub answers, and what it was asked for."""

    address: str
    asked: list[str]

    def call(self, module: str, *words: str, home: Path, offline: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a module in a process of its own: which hub is asked, and whether, is settled when it starts.

        Args:
            module: of the tests.
            words: its arguments.
            home: where the libraries keep what they fetch.
            offline: whether no hub may be asked.
        """
        environment = {
            **{name: value for name, value in os.environ.items() if name != "DISABLE_SAFETENSORS_CONVERSION"},
            "HF_ENDPOINT": self.address,
            "HF_HOME": str(home),
            "HF_HUB_OFFLINE": str(int(offline)),
            "HF_DATASETS_OFFLINE": str(int(offline)),
        }
        command = [sys.executable, "-m", module, *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


class Answer(BaseHTTPRequestHandler):
    """Serves the folders ``models/OWNER/NAME`` and ``datasets/OWNER/NAME`` of a folder."""

    folder: Path
    asked: list[str]

    def do_HEAD(self) -> None:
        """Say how large something is."""
        self._answer(self._find())

    def do_GET(self) -> None:
        """Say what a repository consists of, or give a file."""
        self._answer(self._find())

    def do_POST(self) -> None:
        """Say what there is of the paths that are asked for."""
        asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
        paths = json.loads(asked)["paths"] if asked.startswith("{") else parse_qs(asked).get("paths", [])
        home = self._home
        self._answer(json.dumps([describe(home, path) for path in paths if (home / path).exists()]).encode())

    @property
    def _parts(self) -> list[str]:
        return unquote(urlsplit(self.path).path).strip("/").split("/")

    @property
    def _home(self) -> Path:
        """The folder of the repository that is asked for: a file of a model has no kind before its name."""
        parts = self._parts
        own = parts[1:] if parts[0] == "api" else parts if parts[0] == "datasets" else ["models", *parts]
        return self.folder.joinpath(*own[:3])

    def _find(self) -> bytes | None:
        parts, home = self._parts, self._home
        if parts == [""]:
            return b""
        if parts[0] != "api":
            file = home.joinpath(*parts[parts.index("resolve") + 2 :])
            return file.read_bytes() if file.is_file() else None
        if not home.is_dir():
            return None
        names = sorted(path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file())
        if parts[4:5] == ["tree"]:
            return json.dumps([describe(home, name) for name in names]).encode()
        files = [{"rfilename": name} for name in names]
        return json.dumps({"id": "/".join(parts[2:4]), "sha": COMMIT, "siblings": files}).encode()

    def _answer(self, content: bytes | None) -> None:
        self.asked.append(self.path)
        self.send_response(200 if content is not None else 404)
        if content is None:
            self.send_header("X-Error-Code", "EntryNotFound" if self._home.is_dir() else "RepoNotFound")
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
def serve_hub(folder: Path) -> Iterator[Hub]:
    """Serve a folder during the block."""
    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Here", (Answer,), {"folder": folder, "asked": asked}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Hub(address=f"http://127.0.0.1:{server.server_port}", asked=asked)
    finally:
        server.shutdown()
        server.server_close()


def describe(home: Path, name: str) -> dict[str, object]:
    """A file or folder as the hub lists it."""
    path = home / name
    oid = hashlib.sha256(name.encode()).hexdigest()[:40]
    return {"type": "directory" if path.is_dir() else "file", "path": name, "oid": oid, "size": path.stat().st_size}
