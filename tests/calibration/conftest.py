"""Scores of real systems, computed once."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from sacrebleu.metrics import BLEU, CHRF

from harness.calibration import pair_rows
from harness.metrics.rouge import Rouge
from harness.metrics.texts import score_texts

ROWS = 2_200
"""Enough for draws of 2,000."""
SYSTEMS = ("LIUM-NMT.4900", "C-3MA.4959", "FBK.4870", "uedin-nmt.4722", "online-B.0")


def read_lines(path: Path) -> list[str]:
    return gzip.decompress(path.read_bytes()).decode("utf-8").removesuffix("\n").split("\n")


@pytest.fixture(scope="session")
def wmt_texts(shared_data: Path) -> dict[str, list[str]]:
    """The 3,004 segments of newstest2017 by five systems, and the reference."""
    folder = shared_data / "wmt17-en-de"
    return {name: read_lines(folder / f"{name}.de.gz") for name in (*SYSTEMS, "reference")}


@pytest.fixture(scope="session")
def xsum_deltas(shared_data: Path) -> np.ndarray:
    """(rows, 4): ROUGE of one system's outputs on XSum, each row less another row."""
    folder = shared_data / "xsum-system-outputs"
    outputs = read_lines(folder / "topic-convs2s-test-output.txt.gz")[:ROWS]
    targets = read_lines(folder / "gold-test-sentences.txt.gz")[:ROWS]
    scores = score_texts(Rouge(stemmer=False), outputs, [[target] for target in targets])
    return pair_rows(np.stack(list(scores.values()), axis=1))


@pytest.fixture(scope="session")
def wmt_deltas(wmt_texts: dict[str, list[str]]) -> np.ndarray:
    """(rows, 4): chrF, chrF++, BLEU and BLEU-1 of two systems on newstest2017, one less the other."""
    one, other, reference = (wmt_texts[name][:ROWS] for name in ("FBK.4870", "LIUM-NMT.4900", "reference"))
    metrics = (CHRF(), CHRF(word_order=2), BLEU(effective_order=True), BLEU(effective_order=True, max_ngram_order=1))
    return np.array(
        [
            [metric.sentence_score(a, [target]).score - metric.sentence_score(b, [target]).score for metric in metrics]
            for a, b, target in zip(one, other, reference, strict=True)
        ]
    )
