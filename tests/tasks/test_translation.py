"""Translation: pairs as rows, in the forms in which they are kept."""

from __future__ import annotations

import pytest

from harness.config import DataSettings, load_experiment
from harness.data.columns import to_rows
from harness.data.newsroom import draw_event
from harness.data.rows import Row
from harness.errors import ColumnError, DataError
from harness.experiment import run
from harness.tasks.translation import TRANSLATION
from tests.small import SMALL


def read(*records: dict[str, object], **settings: object) -> list[Row]:
    return list(to_rows(records, DataSettings.model_validate(settings), TRANSLATION, where="pairs.jsonl"))


@pytest.mark.parametrize(
    "record",
    [
        {"input": "one", "target": "eins"},
        {"source": "one", "translation": "eins"},
        {"en": "one", "de": "eins", "fr": "un"},
        {"translation": {"en": "one", "de": "eins", "fr": "un"}},
        {"id": 7, "translation": {"de": "eins", "en": "one"}},
    ],
)
def test_pairs_are_found(record: dict[str, object]) -> None:
    """Columns of the usual names, languages as columns, and the pairs of the hub give the same row."""
    (row,) = read(record)
    assert (row.input, row.target) == ("one", "eins")


def test_the_languages_can_be_named() -> None:
    """Column settings choose among the languages of a pair, in either direction."""
    record = {"translation": {"en": "one", "de": "eins", "fr": "un"}}
    (row,) = read(record, input_columns=["fr"], target_columns=["en"])
    assert (row.input, row.target) == ("un", "one")
    with pytest.raises(ColumnError, match="has no target column: looked for pt; it has en, de, fr"):
        read(record, target_columns=["pt"])


def test_empty_side_is_named() -> None:
    """A pair that lacks a text is an error with its row."""
    with pytest.raises(DataError, match=r'row 1 \(counted from 1\): column "de" is empty'):
        read({"translation": {"en": "one", "de": None}})


def test_newsroom_rows_are_summaries_in_two_languages() -> None:
    """Both sides tell the same event: its names and numbers stand in both."""
    event = draw_event(2, 9)
    row = TRANSLATION.tell(event)
    for fact in (event.facts.who.name, event.facts.where, str(event.facts.amount)):
        assert fact in row.input
        assert fact in row.target
    assert row.input != row.target


@pytest.mark.slow
def test_the_embedded_model_learns_to_translate(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A few rows of the embedded experiment already lift BLEU, and the gate sees it."""
    settings: dict[str, object] = {
        **SMALL,
        "data.train_rows": 48,
        "data.eval_rows": 16,
        "training.epochs": 8,
        "gate.require": ["tuned must beat base on bleu"],
    }
    experiment = load_experiment("translation-full").override(settings)
    done = run(experiment, baselines=tmp_path_factory.mktemp("none"))
    assert done.verdict.passed
    assert done.losses[-1] < done.losses[0] / 2
