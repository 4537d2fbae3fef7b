"""What is loaded is what lies there now: no stale caches, no placeholders for targets, no rows lost on the way."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from harness.checks.check import CheckFailed, CheckSkipped, check
from harness.checks.evidence import Evidence
from harness.checks.splits import train_and_others
from harness.checks.target_values import find_strange, read_targets, show_values

IGNORE_INDEX = -100
LATER = 10
"""Seconds by which a changed file is newer, for caches that look at the time of a file."""


@check("I9", "data", needs=("read",))
def files_are_read_anew(evidence: Evidence) -> str:
    """What is read is what the file holds now, however often and under whatever name it was read before."""
    rows = evidence.rows()
    try:
        lines = [json.dumps(row) + "\n" for row in rows]
    except TypeError:
        raise CheckSkipped("the rows cannot be written as JSON lines") from None
    with TemporaryDirectory() as folder:
        path, namesake, stranger = (
            Path(folder, *parts) for parts in (["rows.jsonl"], ["2", "rows.jsonl"], ["3.jsonl"])
        )
        before = _read(evidence, path, lines)
        after = _read(evidence, path, lines[::-1], later=True)
        elsewhere = _read(evidence, namesake, lines[1:])
        expected = _read(evidence, stranger, lines[::-1])
    cause = ""
    if after != expected:
        cause = "after the file had changed, its old rows came back" if after == before else "other rows came back"
    elif len(elsewhere) == len(before):
        cause = "a file of the same name in another folder gave the rows of the first one"
    if cause:
        raise CheckFailed(
            f"Of a file with {len(lines)} rows that was read, changed and read again: {cause}.",
            suspects=("stale-hub-or-file-cache",),
            remedy="Key the cache by a hash of the file's content, or do not cache; note the hash in the manifest.",
        )
    return f"{len(lines)} rows, written three times"


@check("I9", "data", needs=("encode",))
def rows_are_encoded_anew(evidence: Evidence) -> str:
    """Encoding depends on the rows and the options it is given, and on nothing that was encoded before."""
    rows = evidence.rows()
    first = evidence.features(rows)
    options = _lower_limits(evidence, first)
    for name, limit in options.items():
        try:
            limited = evidence.features(rows, **{name: limit})
        except Exception:  # noqa: BLE001, S112 - a limit that is refused has an effect
            continue
        if limited == first:
            _fail(f"{name}={limit} changed nothing in the {len(first)} features of {len(rows)} rows")
    column = evidence.column_name(rows[0], "input")
    if isinstance(rows[0], dict) and column is not None and len({str(row[column]) for row in rows}) > 1:
        # Tags belong to their words.
        target = evidence.column_name(rows[0], "target")
        along = [column, target] if target is not None and isinstance(rows[0].get(target), list) else [column]
        moved = [
            {**row, **{name: other[name] for name in along}}
            for row, other in zip(rows, [*rows[1:], rows[0]], strict=True)
        ]
        if evidence.features(moved) == first:
            _fail(f"other texts under the same ids gave the same {len(first)} features")
    if evidence.features(rows) != first:
        _fail(f"the same {len(rows)} rows gave other features after others had been encoded")
    return f"{len(rows)} rows" + "".join(f", {name}={limit}" for name, limit in options.items())


@check("I11", "data", needs=("splits",))
def targets_of_all_splits_are_real(evidence: Evidence) -> str:
    """Each split has targets of the kind that is trained on: no placeholders, no unknown classes."""
    train, others = train_and_others(evidence)
    column = evidence.column_name(train[0], "target")
    if column is None:
        raise CheckSkipped("it is not known where a row keeps its target; declare target_column")
    known = read_targets(train, column)
    for name, rows in others.items():
        found = read_targets(rows, column)
        strange = find_strange(known, found, evidence.declared("labels"))
        if strange:
            raise CheckFailed(
                f'Of {len(found)} targets of the split "{name}", {strange} (there: {show_values(found)}; in training: '
                f"{show_values(known)}). A score against placeholders says nothing about the model.",
                suspects=("placeholder-test-labels",),
                remedy="Evaluate on a split whose targets are published; hidden test sets carry placeholders like -1.",
            )
    return f"targets in training: {show_values(known)}"


def _read(evidence: Evidence, path: Path, lines: Sequence[str], *, later: bool = False) -> list[str]:
    """What the user's function reads from a file with these lines, as texts."""
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(lines), encoding="utf-8")
    if later:
        time = path.stat().st_mtime + LATER
        os.utime(path, (time, time))
    return [str(row) for row in evidence.call("read", path)]


def _lower_limits(evidence: Evidence, features: Sequence[dict[str, Any]]) -> dict[str, int]:
    """The limits that encode takes as options, at three quarters of what the rows need."""
    limits = {}
    for name in inspect.signature(evidence.part("encode")).parameters:
        longest = max((_count(feature, name) for feature in features), default=0)
        if name.startswith("max") and longest >= 4:  # noqa: PLR2004 - three tokens leave room for the special ones
            limits[name] = 3 * longest // 4
    return limits


def _count(feature: dict[str, Any], limit: str) -> int:
    """How many tokens of a feature a limit of this name is about."""
    ids, labels = feature.get("input_ids"), feature.get("labels")
    if not isinstance(ids, list):
        return 0
    supervised = sum(label != IGNORE_INDEX for label in labels) if isinstance(labels, list) else 0
    if any(part in limit for part in ("target", "label", "output", "completion")):
        return supervised
    if any(part in limit for part in ("input", "source", "prompt")) and isinstance(labels, list):
        return len(ids) - supervised if len(labels) == len(ids) and labels[0] == IGNORE_INDEX else len(ids)
    return len(ids)


def _fail(seen: str) -> None:
    raise CheckFailed(
        f"{seen[0].upper()}{seen[1:]}.",
        suspects=("stale-preprocessing-cache",),
        remedy="Let the key of the cache hold everything the encoding depends on: rows, tokenizer, prefix and limits.",
    )
