"""Stale caches, placeholders and what is none of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.checks.pipeline import Pipeline
from harness.checks.target_values import find_strange
from harness.defects.reference import REFERENCES
from harness.defects.reference.rows import read_splits
from harness.defects.reference.seq2seq import read_rows
from tests.checks.stage import audit_first, failed


def test_a_cache_by_path_is_stale() -> None:
    """A file that is cached under its whole path comes back old after a change."""
    assert failed(audit_first(Pipeline(read=cache(read_rows)))) == {"files-are-read-anew"}


def test_a_cache_that_looks_at_the_file_is_fine() -> None:
    """A cache by path and time of change is no defect."""
    kept: dict[tuple[Path, int], Any] = {}

    def read(path: Path) -> Any:
        key = path, path.stat().st_mtime_ns
        return kept.setdefault(key, read_rows(path))

    assert failed(audit_first(Pipeline(read=read))) == set()


def by_number() -> Callable[..., Any]:
    """Encoded rows are kept by how many they are."""
    kept: dict[int, Any] = {}
    encode: Any = REFERENCES["seq2seq"].encode

    def encode_cached(rows: Sequence[Any]) -> Any:
        return kept.setdefault(len(rows), encode(rows))

    return encode_cached


def without_limit() -> Callable[..., Any]:
    """An option that is accepted and passed on to nobody."""
    encode: Any = REFERENCES["seq2seq"].encode

    def encode_whole(rows: Sequence[Any], *, max_length: int = 128) -> Any:
        return encode(rows)

    return encode_whole


@pytest.mark.parametrize("make", [by_number, without_limit])
def test_encoding_that_ignores_what_it_is_given_is_seen(make: Callable[[], Callable[..., Any]]) -> None:
    """Rows or options without an effect on the features are a stale cache."""
    clean = REFERENCES["seq2seq"]
    report = audit_first(Pipeline(tokenizer=clean.tokenizer, splits=clean.splits, encode=make()))
    assert "rows-are-encoded-anew" in failed(report)


@pytest.mark.parametrize("placeholder", ["", "N/A", None])
def test_text_placeholders_are_seen(placeholder: str | None) -> None:
    """An evaluation split whose references are empty, or all the same, is no reference."""

    def splits() -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = dict(read_splits())
        return {**found, "eval": [{**row, "target": placeholder} for row in found["eval"]]}

    assert "targets-of-all-splits-are-real" in failed(audit_first(Pipeline(splits=splits)))


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=12), st.data())
def test_targets_from_the_known_classes_are_never_strange(known: list[str], data: st.DataObject) -> None:
    """Any split with at least two of the trained classes passes."""
    found = data.draw(st.lists(st.sampled_from(known), min_size=2, max_size=20))
    assert find_strange(known, found) == "" or len(set(found)) == 1


def test_numbers_of_declared_classes_are_known() -> None:
    """Class ids are fine where names are declared, and -1 is not."""
    names = ("down", "up")
    assert find_strange(["up", "down"] * 4, [0, 1, 0, 1], names) == ""
    assert "no class" in find_strange(["up", "down"] * 4, [-1, -1, -1, 1], names)


def test_measurements_may_be_new() -> None:
    """Targets that are numbers with fractions are measured, and others may come."""
    assert find_strange([0.1, 0.2, 0.2, 0.4], [0.7, 0.8], None) == ""


def test_a_cache_by_content_passes_the_whole_stage() -> None:
    """An encode that caches by everything it is given is no defect."""
    clean = REFERENCES["seq2seq"]
    kept: dict[str, Any] = {}
    encode: Any = clean.encode

    def encode_cached(rows: Sequence[Any], **options: Any) -> Any:
        return kept.setdefault(f"{rows} {options}", encode(rows, **options))

    checked = Pipeline(tokenizer=clean.tokenizer, splits=clean.splits, encode=encode_cached)
    assert failed(audit_first(replace(checked, prompt=clean.prompt))) == set()
