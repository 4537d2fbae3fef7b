"""Leaks, groups and unstable splits of other kinds than those of the catalogue."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from harness.checks.check import Status
from harness.checks.pipeline import Declared, Pipeline
from harness.checks.suite import audit, choose_checks
from harness.defects.reference import REFERENCES
from harness.defects.reference.rows import read_splits
from tests.checks.stage import FRESH, audit_first, failed

Splits = dict[str, list[dict[str, Any]]]


def reworded() -> Splits:
    """Augmentation before the split: training rows are evaluation rows with one word exchanged."""
    found = read_splits()
    extra = [
        {**row, "id": str(number), "input": row["input"].replace("spoke", "talked")}
        for number, row in enumerate(found["eval"])
    ]
    return {**found, "train": found["train"] + extra}


def sliced() -> Splits:
    """The evaluation split begins before the training split ends."""
    rows = read_splits()["train"]
    return {"train": rows[:40], "test": rows[36:]}


@pytest.mark.parametrize(
    ("splits", "suspect"), [(reworded, "near-duplicate-benchmark-leak"), (sliced, "train-eval-exact-overlap")]
)
def test_leaks_of_other_kinds_are_seen(splits: Callable[[], Splits], suspect: str) -> None:
    """Reworded copies and overlapping slices are reported by their kind."""
    report = audit_first(Pipeline(splits=splits))
    assert failed(report) == {"splits-share-no-rows"}
    assert report.suspects[0] == suspect


def test_a_declared_group_is_looked_at() -> None:
    """Rows of one declared group in two splits are a leak, though their texts share nothing."""
    found = read_splits()
    for rows in found.values():
        for number, row in enumerate(rows):
            row["speaker"] = f"speaker {number % 30}"
    pipeline = Pipeline(splits=lambda: found)
    assert failed(audit_first(pipeline)) == set()
    grouped = replace(pipeline, declared=Declared(group_column="speaker"))
    assert failed(audit_first(grouped)) == {"groups-stay-in-one-split"}


def test_classes_in_all_splits_are_no_leak() -> None:
    """Short targets that all splits share, as names of classes are, are no overlap."""
    assert failed(audit_first(Pipeline(splits=REFERENCES["classifier"].splits))) == set()


def draw_anew() -> Splits:
    """A split that is drawn without a seed."""
    rows = [row for part in read_splits().values() for row in part]
    random.shuffle(rows)
    return {"train": rows[:48], "eval": rows[48:]}


def salted() -> Splits:
    """A split whose order is that of a set of texts."""
    rows = {row["id"]: row for part in read_splits().values() for row in part}
    order = list(set(rows))
    return {"train": [rows[name] for name in order[:48]], "eval": [rows[name] for name in order[48:]]}


@pytest.mark.parametrize(("splits", "told"), [(draw_anew, "without a seed"), (salted, "hash()")])
def test_unstable_splits_are_seen_and_told_apart(splits: Callable[[], Splits], told: str) -> None:
    """A split without a seed and one that hangs on hash() differ between processes, each told by its cause."""
    result = audit(Pipeline(splits=splits), checks=choose_checks(only=[FRESH])).results[0]
    assert result.status is Status.FAILED
    assert told in result.seen


def test_stable_splits_pass() -> None:
    """A seeded split is the same in two fresh processes."""
    result = audit(Pipeline(splits=read_splits), checks=choose_checks(only=[FRESH])).results[0]
    assert result.status is Status.PASSED


def test_answers_that_are_missing_are_counted() -> None:
    """A generate that leaves out long rows is told by the numbers of rows and answers."""
    clean = REFERENCES["seq2seq"]
    generate: Any = clean.generate

    def lose(model: Any, rows: list[Any]) -> list[str]:
        outputs: list[str] = generate(model, [row for row in rows if len(row["input"]) < 80])
        return outputs

    report = audit(replace(clean, generate=lose), checks=choose_checks(only=["every-evaluation-row-is-scored"]))
    assert report.suspects == ("eval-rows-silently-dropped",)
    assert "for 6 rows" in report.results[0].seen
