"""Rows, splits and their ledger."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data import rows as rows_module
from harness.data.rows import Row, Splits, draw_rows, drop_duplicates, hash_rows, list_ledger, normalise
from harness.errors import DataError, OverlapError
from harness.fingerprint import hash_text


def make_rows(*inputs: str, start: int = 0) -> tuple[Row, ...]:
    return tuple(Row(id=str(number), input=text, target="t") for number, text in enumerate(inputs, start))


def test_target_is_the_reference_where_none_is_given() -> None:
    """A metric always has something to compare to."""
    assert Row(id="0", input="a", target="b").references == ("b",)
    assert Row(id="0", input="a", target="b", references=("c", "d")).references == ("c", "d")


def test_content_hash_ignores_the_id_and_nothing_else() -> None:
    """Two rows have equal hashes exactly if input, target and references are equal."""
    row = Row(id="0", input="a", target="b")
    assert row.hash == Row(id="1", input="a", target="b").hash
    others = [
        Row(id="0", input="A", target="b"),
        Row(id="0", input="a", target="c"),
        Row(id="0", input="ab", target=""),
    ]
    others.append(Row(id="0", input="a", target="b", references=("b", "c")))
    assert row.hash not in {other.hash for other in others}


@pytest.mark.parametrize(
    ("one", "other"),
    [("A cat.", "a  cat"), ("ﬁne", "fine"), ("Straße!", "STRASSE"), ("a\u00a0b", "a b"), ("“x”", '"x"')],
)
def test_normalising_folds_what_readers_do_not_see(one: str, other: str) -> None:
    """Case, spacing, punctuation and compatibility forms do not hide a copy."""
    assert normalise(one) == normalise(other)


def test_texts_without_letters_are_not_all_the_same() -> None:
    """Rows of emoji or punctuation alone are equal only if they are equal."""
    assert make_rows("!!!")[0].normalised_hash != make_rows("???")[0].normalised_hash


def test_overlap_is_an_error_that_names_the_rows() -> None:
    """A row in both splits, exact or normalised, stops the run and is named with its partner."""
    with pytest.raises(OverlapError, match=r"2 of 3 .*\(1 exactly, 1 after normalising\).*0 = 10, 1 = 12"):
        Splits(train=make_rows("same", "Nearly same"), eval=make_rows("same", "new", "nearly  SAME!", start=10))


def test_splits_need_rows_and_ids_of_their_own() -> None:
    """An empty split or a repeated id is an error."""
    with pytest.raises(DataError, match="evaluation split has no rows"):
        Splits(train=make_rows("a"), eval=())
    with pytest.raises(DataError, match='id "0"'):
        Splits(train=(*make_rows("a"), *make_rows("b")), eval=make_rows("c", start=5))


@given(st.lists(st.text(min_size=1), min_size=1, unique=True), st.integers(0, 100), st.randoms())
def test_draw_depends_on_seed_and_ids_alone(texts: list[str], seed: int, shuffler: object) -> None:
    """The same seed draws the same rows in the same order, whatever the order of the source."""
    rows = list(make_rows(*texts))
    drawn = draw_rows(rows, len(rows) // 2 + 1, seed=seed)
    shuffler.shuffle(rows)  # type: ignore[attr-defined]
    assert draw_rows(rows, len(drawn), seed=seed) == drawn


@given(st.integers(1, 9), st.integers(0, 99), st.integers(1, 5))
def test_a_draw_keeps_little_more_than_it_draws(count: int, seed: int, part: int) -> None:
    """Of a long source the rows with the smallest hashes are drawn, and few others are ever written to disk."""
    sources = make_rows(*map(str, range(400)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows_module, "PART", part)
        drawn = draw_rows(sources, count, seed=seed)
    assert drawn == sorted(sources, key=lambda row: hash_text(f"{seed}/{row.id}"))[:count]
    whole = len(pickle.dumps(sources[0], pickle.HIGHEST_PROTOCOL))
    assert drawn._file.seek(0, 2) < 0.5 * len(sources) * whole


@given(st.lists(st.sampled_from("pqr"), min_size=1, max_size=40), st.integers(1, 6), st.integers(1, 4), st.randoms())
def test_rows_of_one_passage_are_drawn_by_their_ids(passages: list[str], count: int, part: int, order: object) -> None:
    """Rows whose hashes tie come in the order of their ids, wherever they stand in the source."""
    sources = [Row(id=str(n), input="q", target="t", context=passage) for n, passage in enumerate(passages)]
    order.shuffle(sources)  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows_module, "PART", part)
        drawn = draw_rows(sources, count, seed=0)
    assert drawn == sorted(sources, key=lambda row: (hash_text(f"0/{row.passage}"), row.id))[:count]


def test_other_seed_draws_other_rows() -> None:
    """The seed has an effect, and each row is drawn about equally often."""
    rows = make_rows(*map(str, range(20)))
    draws = [tuple(row.id for row in draw_rows(rows, 5, seed=seed)) for seed in range(400)]
    assert len(set(draws)) > 390
    counts = [sum(row.id in draw for draw in draws) for row in rows]
    assert min(counts) > 60
    assert max(counts) < 140


def test_one_more_row_moves_at_most_one_out() -> None:
    """Growing a source by a row keeps the sample but for one row at most."""
    rows = make_rows(*map(str, range(100)))
    before = {row.id for row in draw_rows(rows[:99], 20, seed=1)}
    after = {row.id for row in draw_rows(rows, 20, seed=1)}
    assert len(before - after) <= 1


def test_duplicates_are_dropped_but_the_first() -> None:
    """Of equal rows the first stays, and none that equals a row set apart."""
    rows = make_rows("a", "b", "A!", "c", "b")
    assert [row.id for row in drop_duplicates(rows)] == ["0", "1", "3"]
    assert [row.id for row in drop_duplicates(rows, apart_from=make_rows("B"))] == ["0", "3"]


def test_ledger_holds_each_row_once_with_its_split() -> None:
    """The ledger is JSON lines of split, id and content hash; its fingerprint sees order and content."""
    splits = Splits(train=make_rows('quote " and \n break', "b"), eval=make_rows("c", start=2))
    lines = list(list_ledger(splits))
    assert [(line["split"], line["id"]) for line in lines] == [("train", "0"), ("train", "1"), ("eval", "2")]
    assert [line["hash"] for line in lines] == [row.hash for row in (*splits.train, *splits.eval)]
    assert hash_rows(splits.train) != hash_rows(splits.train[::-1])
