"""What became of stored bases, in words and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.drift import Drift, Movement
from harness.fingerprint import describe_environment, list_versions
from harness.gate import gravest
from harness.report.wording import say_number

MARKS = {Movement.UNCHANGED: "=", Movement.MOVED: "≠", Movement.NOT_COMPARABLE: "?"}


def describe_drift(found: Sequence[Drift]) -> dict[str, Any]:
    """What was found and where, for programs: the environment with the versions of all dependencies, and each base."""
    return {
        "environment": describe_environment(),
        "versions": list_versions(),
        "bases": [entry.as_json() for entry in found],
        "exit_code": int(gravest([entry.exit_code for entry in found])),
    }


def say_drift(found: Drift) -> list[str]:
    """What became of one base, as lines of text."""
    told = found.as_json()
    lines = [f"{MARKS[found.movement]} {found.experiment}: {found.movement}, {told['rows']} rows"]
    if found.movement is Movement.UNCHANGED:
        return lines
    lines += [f"  {found.sentence}: {found.status} ({found.reason})"]
    if "same" in told:
        others = [name for name, same in told["same"].items() if not same]
        changed = f"; {told['changed']} outputs changed" if "changed" in told else ""
        lines += [f"  others than stored: {', '.join(others)}{changed}"] * bool(others)
        lines += [
            f"  {name:16} {say_number(score['stored'])} → {say_number(score['now'])}{_say_evidence(score)}"
            for name, score in told["scores"].items()
            if score["stored"] != score["now"]
        ]
        lines += [f"  changed since: {', '.join(told['circumstances'])}"] * bool(told["circumstances"])
    return lines


def _say_evidence(score: dict[str, Any]) -> str:
    if "p" not in score:
        return ""
    low, high = score["interval"]
    moved = score["now"] - score["stored"]
    return f"  {moved:+.4f} ({say_number(low)} to {say_number(high)})  p {score['p']:.4f}"
