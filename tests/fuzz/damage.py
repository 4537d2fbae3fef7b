"""From a few bytes to damaged files, whoever chooses the bytes: hypothesis draws them, atheris evolves them."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

Files = dict[str, bytes | None]
"""Path within a folder to content; ``None`` is a folder in the place of the file."""

TOKENS: tuple[bytes, ...] = (
    b"", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\r\n", b"\t", b'"', b"'", b"\\", b"{", b"}", b"[", b"]", b",", b":",
    b"=", b"#", b"0", b"-1", b"1e999", b"NaN", b"null", b"true", b'""', b"[]", b"{}", b"9" * 400, b"[" * 3000,
    b'{"a":' * 3000, b"../../../x", b"/etc/passwd", b"CON", b"\\u0000", b"\\ud800", "\u202e".encode(), b"\x1b[2J",
    b"<script>", b"{{ 7*7 }}", b"{input.__class__}", b"%s%n", b"x" * 70_000, b"(a+)+$", b"__proto__", b"\n[x]\n",
)  # fmt: skip
"""What parsers stumble over."""

VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 2**63, 10**400, 0.5, 1e308, float("nan"), float("inf"), "", " ", "x" * 70_000, "\x00",
    "\ud800", "\u202e", "\x1b[2J", "../../x", "/etc", "CON", [], {}, [[]], [None], [1, "a"], {"": None}, {"a": {}},
)  # fmt: skip
"""What stands where something else was expected."""


class Script:
    """Reads choices from bytes; where none are left it chooses the first."""

    def __init__(self, data: bytes) -> None:
        self._data, self._place = data, 0

    @property
    def ended(self) -> bool:
        """Whether all bytes are read."""
        return self._place >= len(self._data)

    def choose(self, count: int) -> int:
        """A number below ``count``."""
        size = 1 if count <= 256 else 2 if count <= 65_536 else 3
        taken = self._data[self._place : self._place + size]
        self._place += size
        return int.from_bytes(taken, "little") % max(1, count)

    def rest(self) -> bytes:
        """All bytes that are left."""
        taken, self._place = self._data[self._place :], len(self._data)
        return taken


def damage(files: Files, data: bytes) -> Files:
    """Change files as the bytes say: none for no bytes, else one change after the other."""
    changed, script = dict(files), Script(data)
    while not script.ended:
        name = sorted(changed)[script.choose(len(changed))]
        change = CHANGES[script.choose(len(CHANGES))]
        content = changed[name]
        changed[name] = None if content is None else change(content, script)
    return changed


def _put(content: bytes, script: Script) -> bytes:
    place = script.choose(len(content) + 1)
    return content[:place] + TOKENS[script.choose(len(TOKENS))] + content[place:]


def _delete(content: bytes, script: Script) -> bytes:
    place = script.choose(len(content) + 1)
    return content[:place] + content[place + 1 + script.choose(64) :]


def _flip(content: bytes, script: Script) -> bytes:
    if not content:
        return content
    place = script.choose(len(content))
    return content[:place] + bytes([content[place] ^ (1 << script.choose(8))]) + content[place + 1 :]


def _repeat(content: bytes, script: Script) -> bytes:
    place, length = script.choose(len(content) + 1), 1 + script.choose(64)
    return content[:place] + content[place : place + length] * (1 + script.choose(200)) + content[place:]


def _cut(content: bytes, script: Script) -> bytes:
    return content[: script.choose(len(content) + 1)]


def _replace(content: bytes, script: Script) -> bytes:
    return script.rest()


def _pack(content: bytes, script: Script) -> bytes:
    """Packed, or unpacked where it was."""
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        return gzip.compress(content, 1, mtime=0)


def _folder(content: bytes, script: Script) -> None:
    return None


def _line(content: bytes, script: Script) -> bytes:
    """Another value in a line of TOML or of a table."""
    lines = content.split(b"\n")
    place = script.choose(len(lines))
    name, sign, _ = lines[place].partition(b"=")
    token = TOKENS[script.choose(len(TOKENS))]
    lines[place] = name + sign + b" " + (token if script.choose(2) else json.dumps(_value(script)).encode())
    return b"\n".join(lines)


def _json(content: bytes, script: Script) -> bytes:
    """Another value somewhere in a JSON document, or in one of JSON lines."""
    lines = [content] if content.lstrip()[:2] in {b"{\n", b"[\n"} else content.split(b"\n")
    place = script.choose(len(lines))
    try:
        document = json.loads(lines[place])
    except (ValueError, RecursionError):
        return _line(content, script)
    lines[place] = json.dumps(_change(document, script), indent=2 if len(lines) == 1 else None).encode()
    return b"\n".join(lines)


def _change(document: Any, script: Script) -> Any:
    if isinstance(document, dict) and document and script.choose(8):
        key = sorted(document)[script.choose(len(document))]
        what = script.choose(6)
        if what == 0:
            return {name: value for name, value in document.items() if name != key}
        return {**document, (f"{key}x" if what == 1 else key): _change(document[key], script)}
    if isinstance(document, list) and document and script.choose(8):
        place = script.choose(len(document))
        return [*document[:place], _change(document[place], script), *document[place + 1 :]]
    return _value(script)


def _value(script: Script) -> Any:
    return VALUES[script.choose(len(VALUES))]


CHANGES: tuple[Callable[[bytes, Script], bytes | None], ...] = (
    _json, _json, _json, _line, _put, _delete, _flip, _repeat, _cut, _replace, _pack, _folder,
)  # fmt: skip
"""A place is damaged more often within what it holds than as a whole."""
