"""Independent scores agree with the field's libraries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import f1_score as seqeval_f1
from seqeval.scheme import IOB2
from sklearn.metrics import f1_score, precision_score, recall_score

from harness.checks.known_scores import entity_scores, label_scores

NAMES = st.sampled_from("abc")
TAGS = st.lists(st.sampled_from(["O", "B-X", "I-X", "B-Y", "I-Y"]), min_size=1, max_size=6)


@given(st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=30))
def test_label_scores_are_those_of_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    """Precision, recall and F1, micro, weighted, and macro over all classes, equal scikit-learn's."""
    said, meant = [said for said, _ in pairs], [meant for _, meant in pairs]
    for kind, reference in (("f1", f1_score), ("precision", precision_score), ("recall", recall_score)):
        found = label_scores(kind, said, meant)
        for average, name in (("micro", "micro"), ("macro", "macro over all classes"), ("weighted", "weighted")):
            assert found[name] == pytest.approx(reference(meant, said, average=average, zero_division=0))


@given(st.lists(st.tuples(TAGS, TAGS), min_size=1, max_size=6))
def test_entity_scores_are_those_of_strict_seqeval(pairs: list[tuple[list[str], list[str]]]) -> None:
    """F1 over entities equals seqeval's in its strict mode with IOB2, also on invalid sequences."""
    said, meant = (
        [said[: len(meant)] + ["O"] * (len(meant) - len(said)) for said, meant in pairs],
        [m for _, m in pairs],
    )
    if any(tag.startswith("B-") for tags in [*said, *meant] for tag in tags):
        expected = seqeval_f1(meant, said, mode="strict", scheme=IOB2, zero_division=0)
        assert entity_scores(said, meant)["strict"] == pytest.approx(expected)
