"""ROUGE: known answers, the library's own numbers, and the traps around it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from harness.data.rows import Row
from harness.errors import DataError
from harness.metrics import Output
from harness.metrics.rouge import KINDS, ROUGE, Rouge, split_sentences
from harness.metrics.texts import score_texts

WORDS = st.lists(
    st.sampled_from(["the", "cat", "cats", "sat", "on", "mat", ".", "!", "?", "dogs", "running"]), max_size=12
).map(" ".join)


def test_ceiling_and_floor() -> None:
    """A text against itself scores 100, against other words 0, and an empty output 0."""
    scores = score_texts(ROUGE, ["A cat sat. It ran."] * 2 + [""], [["A cat sat. It ran."], ["Xyz"], ["A cat."]])
    assert {kind: values.tolist() for kind, values in scores.items()} == {kind: [100.0, 0.0, 0.0] for kind in KINDS}


def test_known_answer_by_hand() -> None:
    """4 of 6 words shared, in order 4: 2 of 5 pairs shared."""
    scores = score_texts(ROUGE, ["the cat sat on a chair"], [["the cat lay on the chair"]])
    assert scores["rouge1"][0] == pytest.approx(100 * 4 / 6)
    assert scores["rouge2"][0] == pytest.approx(100 * 1 / 5)
    assert scores["rougeL"][0] == pytest.approx(100 * 4 / 6)


def test_reference_vectors(shared_data: Path) -> None:
    """Pairs that Google's and Perl's implementations scored get the same scores to 5 places."""
    vectors = json.loads((shared_data / "reference-vectors" / "rouge_vectors.json").read_text(encoding="utf-8"))
    vectors = [vector for vector in vectors if vector["metric"] in KINDS]
    assert len(vectors) > 20
    for vector in vectors:
        metric = Rouge(stemmer=vector["use_stemmer"])
        scores = metric.score([Output(text=vector["prediction"])], [Row(id="1", input="", target=vector["target"])])
        assert scores[vector["metric"]][0] / 100 == pytest.approx(vector["f1"], abs=1e-5)


@given(WORDS, WORDS.filter(bool), st.booleans())
def test_rows_equal_the_library(output: str, target: str, stemmer: bool) -> None:  # noqa: FBT001 - hypothesis
    """Each row is exactly rouge_score's F-measure, times 100."""
    expected = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=stemmer).score(target, output)
    scores = score_texts(Rouge(stemmer=stemmer), [output], [[target]])
    assert {kind: scores[kind][0] for kind in expected} == {kind: 100 * s.fmeasure for kind, s in expected.items()}


@given(WORDS, st.lists(WORDS.filter(bool), min_size=1, max_size=4))
def test_best_of_several_references_counts(output: str, targets: list[str]) -> None:
    """More references never lower a score, and the order of references does not matter."""
    together = score_texts(ROUGE, [output], [targets])
    alone = [score_texts(ROUGE, [output], [[target]]) for target in targets]
    for kind in KINDS:
        assert together[kind][0] == max(scores[kind][0] for scores in alone)
        assert together[kind][0] == score_texts(ROUGE, [output], [targets[::-1]])[kind][0]


def test_lsum_differs_from_l_on_several_sentences() -> None:
    """Sentences are split, so swapped sentences cost rougeL and not rougeLsum; on one line they would be equal."""
    scores = score_texts(ROUGE, ["It ran home. A cat sat."], [["A cat sat. It ran home."]])
    assert scores["rougeLsum"][0] == 100
    assert scores["rougeL"][0] < 100
    assert score_texts(ROUGE, ["Dogs. Cats."], [["cats dogs"]])["rougeLsum"][0] == 100


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ('He said "no." She left.', ['He said "no."', "She left."]),
        ("It cost 3.5 million.", ["It cost 3.5 million."]),
        ("One.\nTwo.", ["One.", "Two."]),
        ("", [""]),
    ],
)
def test_sentences(text: str, lines: list[str]) -> None:
    """One sentence a line; numbers are not cut."""
    assert split_sentences(text).split("\n") == lines


def test_score_does_not_depend_on_other_rows() -> None:
    """Rows are scored one by one: order and company change nothing, and nothing is drawn at random."""
    outputs, references = ["a b", "c d", "a d"], [["a"], ["c d"], ["x d"]]
    forward = score_texts(ROUGE, outputs, references)
    backward = score_texts(ROUGE, outputs[::-1], references[::-1])
    for kind in KINDS:
        assert (forward[kind] == backward[kind][::-1]).all()
        assert forward[kind].dtype == np.float64


def test_signature_names_what_changes_the_number() -> None:
    """Version, stemmer and sentence splitting stand in the signature."""
    signature = ROUGE.signatures["rougeLsum"]
    assert all(part in signature for part in ("rougeLsum", "stemmer:yes", "rouge_score:", "split:"))
    assert Rouge(stemmer=False).signatures != ROUGE.signatures


@pytest.mark.parametrize("references", [[["a"], [""]], [["a"], []]])
def test_rows_without_references_do_not_apply(references: list[list[str]]) -> None:
    """A row with nothing to compare to would score 0 whatever the model wrote."""
    with pytest.raises(DataError, match=r"rouge1.*2 references"):
        score_texts(ROUGE, ["a", "b"], references)


def test_texts_and_references_go_in_pairs() -> None:
    """Three texts with two references are refused, not cut."""
    with pytest.raises(DataError, match="3 texts, and references for 2"):
        score_texts(ROUGE, ["a", "b", "c"], [["a"], ["b"]])


def test_nltk_waits_until_something_is_scored() -> None:
    """Who only asks what scores there are, as a sweep that is done, waits for no NLTK, which takes seconds to load."""
    asks = "from harness.metrics import METRICS; assert METRICS['rouge'].signatures"
    code = f"import sys; {asks}; print('nltk' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
