"""Families of scores as metrics of Hugging Face evaluate."""

from __future__ import annotations

import pytest

from harness.errors import DataError
from harness.metrics import METRICS
from harness.metrics.evaluate_metric import EvaluateMetric
from harness.metrics.rouge import Rouge
from harness.metrics.texts import score_texts

SETS = {
    "answers": (["the Nile", "", "42"], ["Nile", "", "43"]),
    "bleu": (["the cat sat on the mat", "a dog", "birds fly"], ["the cat sat on a mat", "a dog", "fish swim"]),
    "classes": (["a", "b", "c"], ["a", "b", "b"]),
    "distinct": (["a a", "b"], ["a", "b"]),
    "entities": (["B-PER O", "O O"], ["B-PER O", "B-LOC I-LOC"]),
    "grades": (["1", "2", "9"], ["1", "3", "2"]),
    "rouge": (["the cat sat", "a dog", "birds fly"], ["the cat lay", "a dog", "fish swim"]),
}


@pytest.mark.parametrize("family", SETS)
def test_works_offline_and_without_a_bootstrap(family: str) -> None:
    """The scores of the set and of each row are the harness's, the same at every call, for one reference or a list."""
    predictions, references = SETS[family]
    result = EvaluateMetric(family).compute(predictions=predictions, references=references, per_row=True)
    expected = score_texts(METRICS[family], predictions, [[text] for text in references])
    for name, values in expected.items():
        assert result[name] == pytest.approx(float(values.mean()))
        assert result["per_row"][name] == values.tolist()
    again = EvaluateMetric(family).compute(predictions=predictions, references=[[text] for text in references])
    assert again == {name: result[name] for name in expected}


def test_takes_batches_and_options() -> None:
    """What is added batch by batch is scored together; a metric may bring its own options."""
    metric = EvaluateMetric(Rouge(stemmer=False))
    for text in ("cats", "cat"):
        metric.add_batch(predictions=[text], references=["cat"])
    assert metric.compute()["rouge1"] == 50


@pytest.mark.parametrize(("family", "message"), [("perplexity", "has a likelihood of nan"), ("facts", "facts_right")])
def test_what_needs_more_than_texts_says_so(family: str, message: str) -> None:
    """Perplexity and facts cannot be computed from texts, and the error says why."""
    with pytest.raises(DataError, match=message):
        EvaluateMetric(family).compute(predictions=["a"], references=["a"])
