"""Texts of models, data and files made safe to print: what commands a terminal or reorders a line is spelled out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
"""Control characters but for tab and line feed, line separators, the controls by which text of one direction poses as
another (Boucher and Anderson 2023, "Trojan Source: Invisible Vulnerabilities"), halves of characters, and byte order
marks. The plain marks of direction, which Arabic and Hebrew need, stay."""


def printable(text: str) -> str:
    r"""The text with each unsafe character as ``\u001b``, which means the same inside JSON."""
    return UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def printable_all(value: Any) -> Any:
    """The same for every text in JSON values, names included."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {printable_all(name): printable_all(entry) for name, entry in value.items()}
    if isinstance(value, Sequence):
        return [printable_all(entry) for entry in value]
    return value


def escape(text: str) -> str:
    """The text on one line as Markdown shows it letter by letter: it must not become markup, nor mention somebody."""
    text = printable(text).replace("&", "&amp;").replace("<", "&lt;").replace("@", "&#64;")
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", " ".join(text.split()))
