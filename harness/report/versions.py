"""The page of versions: which libraries stand in each environment, and what they moved of the stored bases."""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.metrics.metric import Table
from harness.report.wording import say_number

PACKAGE = "finetune-harness"
Records = Mapping[str, dict[str, Any]]
"""An environment's name to what `harness.report.drift.describe_drift` wrote there."""


def read_records(folder: Path) -> dict[str, dict[str, Any]]:
    """What ``harness baseline check --write`` wrote into a folder, a file an environment.

    Raises:
        UsageError: there is nothing, or a file is none of these.
    """
    records = {}
    for path in sorted(folder.glob("*.json")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            records[path.stem] = {name: record[name] for name in ("environment", "versions", "bases")}
        except (ValueError, OSError, TypeError, KeyError, RecursionError) as error:
            raise UsageError(
                f"{path} is no record of stored bases: {type(error).__name__}: {error}.",
                fix="Write it anew: harness baseline check --write FILE.",
            ) from None
    if not records:
        raise UsageError(f"{folder} holds no record.", fix="Write one: harness baseline check --write FILE.")
    return records


def tabulate_versions(records: Records) -> tuple[Table, ...]:
    """Two tables: what moved, experiment by environment; and the versions that are not the same in all of them."""
    return (
        Table(title="The stored bases", columns=("experiment", *records), rows=tuple(_list_bases(records))),
        Table(title="The versions that differ", columns=("library", *records), rows=tuple(_list_versions(records))),
    )


def _list_bases(records: Records) -> list[tuple[str, ...]]:
    found = {name: {base["experiment"]: base for base in record["bases"]} for name, record in records.items()}
    experiments = sorted({experiment for bases in found.values() for experiment in bases})
    return [(entry, *(_say_base(bases.get(entry)) for bases in found.values())) for entry in experiments]


def _say_base(base: dict[str, Any] | None) -> str:
    """A cell: unchanged, or how many outputs are others and which score moved furthest."""
    if base is None:
        return "-"
    if base["movement"] == "unchanged":
        return "unchanged"
    if "scores" not in base:
        return str(base["movement"])
    told = [f"{base['changed']} of {base['rows']} outputs"] if base.get("changed") else []
    moves = {name: score["now"] - score["stored"] for name, score in base["scores"].items()}
    furthest = max(moves, key=lambda name: abs(moves[name]), default=None)
    if furthest is not None and moves[furthest]:
        told.append(f"{furthest} {say_move(moves[furthest])}")
    others = [name for name in ("weights", "tokenizer", "rows") if not base["same"][name]]
    told += [f"other {', '.join(others)}"] * bool(others)
    return f"{base['movement']}: {'; '.join([*told, base['status']])}"


def say_move(move: float) -> str:
    """A difference of scores; one that two decimals do not show keeps the four that scores have."""
    return say_number(move, sign="+") if abs(move) >= 0.01 else f"{move:+.4f}"  # noqa: PLR2004 - two decimals


def _list_versions(records: Records) -> list[tuple[str, ...]]:
    every = {
        name: {"python": record["environment"]["python"], **record["versions"]} for name, record in records.items()
    }
    needed = {"python", *_list_needed()}
    libraries = dict.fromkeys(library for versions in every.values() for library in versions if library in needed)
    lines = [(library, *(versions.get(library, "-") for versions in every.values())) for library in libraries]
    return [line for line in lines if len(set(line[1:])) > 1 or line[0] == "python"]


def _list_needed() -> list[str]:
    """The names of the dependencies without which nothing is installed."""
    always = (entry for entry in importlib.metadata.requires(PACKAGE) or () if "extra ==" not in entry)
    return [re.split(r"[^\w.-]", entry, maxsplit=1)[0] for entry in always]
