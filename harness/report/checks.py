"""The outcome of checks on a pipeline, as reports show it: four texts a check, read from JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from harness.config import Settings
from harness.errors import UsageError


class CheckLine(Settings):
    """One check and what became of it."""

    name: str
    """What was checked, in a few words."""
    status: Literal["passed", "failed", "error", "skipped", "expected failure", "stale expected failure"]
    seen: str
    """What was seen, with numbers."""
    remedy: str = ""
    """What to do about it; nothing where the check passed."""


CHECK_LINES = TypeAdapter(tuple[CheckLine, ...])


def read_checks(path: Path) -> tuple[CheckLine, ...]:
    """Read a JSON list of objects with ``name``, ``status``, ``seen`` and ``remedy``, or an audit as JSON: an object
    whose ``results`` are such a list, with ``check`` for the name and more that is left out here.

    Raises:
        UsageError: the file is missing or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict):
            content = [
                {"name": found.get("check"), **{name: found.get(name) for name in ("status", "seen", "remedy")}}
                for found in content.get("results", ())
            ]
        return CHECK_LINES.validate_python(content, strict=False)
    except (OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise UsageError(
            f"{path} holds no report of checks: {reason}.",
            fix='Give a list of {"name": ..., "status": "passed", "failed" or "skipped", "seen": ..., "remedy": ...}.',
        ) from error


def write_checks(checks: tuple[CheckLine, ...]) -> str:
    """What `read_checks` reads."""
    return CHECK_LINES.dump_json(checks, indent=2).decode() + "\n"
