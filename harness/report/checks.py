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
    status: Literal["passed", "failed", "skipped"]
    seen: str
    """What was seen, with numbers."""
    remedy: str = ""
    """What to do about it; nothing where the check passed."""


CHECK_LINES = TypeAdapter(tuple[CheckLine, ...])


def read_checks(path: Path) -> tuple[CheckLine, ...]:
    """Read a JSON list of objects with ``name``, ``status``, ``seen`` and ``remedy``.

    Raises:
        UsageError: the file is missing or holds something else.
    """
    try:
        return CHECK_LINES.validate_python(json.loads(path.read_text(encoding="utf-8")), strict=False)
    except (OSError, ValueError, RecursionError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise UsageError(
            f"{path} holds no report of checks: {reason}.",
            fix='Give a list of {"name": ..., "status": "passed", "failed" or "skipped", "seen": ..., "remedy": ...}.',
        ) from error


def write_checks(checks: tuple[CheckLine, ...]) -> str:
    """What `read_checks` reads."""
    return CHECK_LINES.dump_json(checks, indent=2).decode() + "\n"
