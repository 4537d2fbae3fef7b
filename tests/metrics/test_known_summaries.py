"""ROUGE of a published system on all of XSum's test rows."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from harness.metrics.rouge import Rouge
from harness.metrics.texts import score_texts

SYSTEM = "topic-convs2s"


@pytest.mark.slow
@pytest.mark.parametrize("words", ["with_porter_stemmer", "without_stemmer"])
def test_known_scores_of_xsum(shared_data: Path, words: str) -> None:
    """The outputs of topic-convs2s have the known ROUGE-1, 2 and L, to the last digit that is known.

    The numbers that its authors published are up to 0.4 points higher; which settings they had is not known.
    """
    folder = shared_data / "xsum-system-outputs"
    known = json.loads((folder / "expected_rouge.json").read_text(encoding="utf-8"))
    expected = known[f"second_implementation_f1_{words}"][SYSTEM]
    stemmer = words == "with_porter_stemmer"
    outputs, references = (
        gzip.decompress((folder / name).read_bytes()).decode("utf-8").splitlines()
        for name in (f"{SYSTEM}-test-output.txt.gz", "gold-test-sentences.txt.gz")
    )
    scores = score_texts(Rouge(stemmer=stemmer), outputs, [[reference] for reference in references])
    assert len(outputs) == known["n"]
    assert {kind: round(float(scores[kind].mean()), 2) for kind in expected} == expected
    for kind, published in known["published"][SYSTEM]["f-score"].items():
        if stemmer and kind in expected:
            assert 0 < published - float(scores[kind].mean()) < 0.45
