"""Entities: seqeval's numbers to the last digit, conlleval's where tags are well-formed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import classification_report, f1_score, precision_score, recall_score
from seqeval.scheme import IOB2

from harness.data.rows import Row
from harness.errors import DataError
from harness.metrics import Output
from harness.metrics.entities import ENTITIES, find_entities, precision_recall_f1
from harness.metrics.texts import score_texts

Tags = list[list[str]]
TAG = st.sampled_from(["O", "B-PER", "I-PER", "B-LOC", "I-LOC"])
ROW = st.integers(1, 7).flatmap(lambda words: st.tuples(*[st.lists(TAG, min_size=words, max_size=words)] * 2))
SETS = st.lists(ROW, min_size=1, max_size=8)
HUNDREDTH = 0.00501
"""Published numbers are rounded to two places."""
STRICT = {"mode": "strict", "scheme": IOB2, "zero_division": 0}


def read_columns(text: str) -> Tags:
    """The last column of a CoNLL file, sentence by sentence."""
    return [[line.split()[-1] for line in block.split("\n")] for block in text.strip().split("\n\n")]


def means(said: Tags, meant: Tags) -> dict[str, float]:
    scores = score_texts(ENTITIES, [" ".join(tags) for tags in said], [[" ".join(tags)] for tags in meant])
    return {name.removeprefix("entity_"): float(values.mean()) for name, values in scores.items()}


def mend(rows: Tags) -> Tags:
    """Tags as conlleval reads them: an I- that continues nothing of its type starts an entity."""
    return [
        [
            f"B-{tag[2:]}" if tag.startswith("I-") and tags[place - 1 : place] not in ([tag], [f"B-{tag[2:]}"]) else tag
            for place, tag in enumerate(tags)
        ]
        for tags in rows
    ]


@given(SETS)
def test_equal_seqeval(pairs: list[tuple[list[str], list[str]]]) -> None:
    """The sums of the rows give seqeval's strict F1, precision and recall to the last digit, and so do mean shares."""
    said, meant = [one for one, _ in pairs], [other for _, other in pairs]
    expected = {
        "f1": 100 * f1_score(meant, said, **STRICT),
        "precision": 100 * precision_score(meant, said, **STRICT),
        "recall": 100 * recall_score(meant, said, **STRICT),
    }
    assert means(said, meant) == pytest.approx(expected, abs=1e-9)
    rows = [Row(id=str(n), input="", target=" ".join(tags)) for n, tags in enumerate(meant)]
    ours, theirs = find_entities([Output(text=" ".join(tags)) for tags in said], rows)
    sums = np.array([[sum(len(a & b) for a, b in zip(ours, theirs, strict=True)), *map(count, (ours, theirs))]], float)
    assert [float(score[0]) for score in precision_recall_f1(sums)] == [
        expected["precision"],
        expected["recall"],
        expected["f1"],
    ]


def count(found: list[set[tuple[int, str, int, int]]]) -> int:
    return sum(map(len, found))


@given(SETS)
def test_table_equals_the_report_of_seqeval(pairs: list[tuple[list[str], list[str]]]) -> None:
    """Each type has the precision, recall, F1 and support of seqeval's report."""
    said, meant = [one for one, _ in pairs], [other for _, other in pairs]
    rows = [Row(id=str(n), input="", target=" ".join(tags)) for n, tags in enumerate(meant)]
    (table,) = ENTITIES.tables([Output(text=" ".join(tags)) for tags in said], rows)
    assert table.columns == ("type", "precision", "recall", "F1", "support")
    if not table.rows:
        return
    report = classification_report(meant, said, output_dict=True, **STRICT)
    kinds = {name: found for name, found in report.items() if not name.endswith("avg")}
    assert [line[0] for line in table.rows] == sorted(kinds)
    for name, *scores, support in table.rows:
        found = kinds[str(name)]
        assert scores == pytest.approx([100 * found[key] for key in ("precision", "recall", "f1-score")])
        assert support == found["support"]


@given(SETS)
def test_strict_and_lenient_differ_only_where_tags_are_ill_formed(pairs: list[tuple[list[str], list[str]]]) -> None:
    """Once every stray I- is a B-, strict F1 is seqeval's lenient one, of the tags as they were."""
    said, meant = [one for one, _ in pairs], [other for _, other in pairs]
    lenient = 100 * f1_score(meant, said, zero_division=0)
    assert means(mend(said), mend(meant))["f1"] == pytest.approx(lenient, abs=1e-9)


def test_conlleval(shared_data: Path) -> None:
    """Phrases of CoNLL-2000: 84 stray I- tags make conlleval's F1 74.35; strictly it is 70.46."""
    folder = shared_data / "reference-vectors" / "conlleval"
    text = (folder / "ground_truth.txt").read_text(encoding="utf-8")
    said = read_columns(text)
    meant = read_columns("\n".join(line.rpartition(" ")[0] for line in text.split("\n")))
    assert sum(map(len, meant)) == 961
    assert 100 * f1_score(meant, said) == pytest.approx(74.35, abs=0.005)
    expected = {"f1": 74.35, "precision": 68.83, "recall": 80.83}
    assert meant == mend(meant)
    assert means(mend(said), meant) == pytest.approx(expected, abs=0.005)
    stray = sum(one != other for row in zip(said, mend(said), strict=True) for one, other in zip(*row, strict=True))
    assert stray == 84
    assert means(said, meant)["f1"] == pytest.approx(70.46, abs=0.005)
    assert means(said, meant)["f1"] == pytest.approx(100 * f1_score(meant, said, **STRICT), abs=1e-9)


@pytest.mark.parametrize("team", ["uh_ritual", "flytxt", "drexel_cci"])
def test_wnut17(shared_data: Path, team: str) -> None:
    """Three teams' outputs, all well-formed, have the scores that the shared task published, overall and by type."""
    folder = shared_data / "wnut17"
    expected = json.loads((folder / "expected_scores.json").read_text(encoding="utf-8"))[team]
    meant = read_columns((folder / "emerging.test.annotated").read_text(encoding="utf-8"))
    said = read_columns((folder / "submissions" / team).read_text(encoding="utf-8"))
    assert len(meant) == 1_287
    assert (said, meant) == (mend(said), mend(meant))
    found = means(said, meant)
    assert found == pytest.approx({name: expected[name] for name in found}, abs=HUNDREDTH)
    rows = [Row(id=str(n), input="", target=" ".join(tags)) for n, tags in enumerate(meant)]
    (table,) = ENTITIES.tables([Output(text=" ".join(tags)) for tags in said], rows)
    for kind, *scores, _ in table.rows:
        known = expected["per_type"][kind]
        assert scores == pytest.approx([known["precision"], known["recall"], known["f1"]], abs=HUNDREDTH)


def test_known_answer_by_hand() -> None:
    """2 of 3 said entities are 2 of 4 meant: precision 66.7, recall 50, F1 57.1."""
    meant = [["B-PER", "I-PER", "O", "B-LOC"], ["B-LOC", "O", "B-PER"]]
    said = [["B-PER", "I-PER", "O", "B-PER"], ["B-LOC", "O", "O"]]
    assert means(said, meant) == pytest.approx({"f1": 400 / 7, "precision": 200 / 3, "recall": 50})


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("O O", 'Row "0": the output has 2 tags, the target 3'),
        ("O O O O", "the output has 4 tags, the target 3"),
        ("O PER O", '"PER" in the output is no tag'),
        ("O B- O", '"B-" in the output is no tag'),
    ],
)
def test_what_is_no_line_of_tags_is_named(output: str, message: str) -> None:
    """Too few tags, too many, or something that is no tag: an error that names the row."""
    with pytest.raises(DataError, match=message):
        score_texts(ENTITIES, [output], [["O B-PER O"]])
