"""BLEU and chrF: sacrebleu's own numbers, of the set and of each row, and those of WMT 2017."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path

import numpy as np
import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import DataError
from harness.metrics.bleu import BLEU, Bleu
from harness.metrics.texts import score_texts

SENTENCES = st.lists(
    st.sampled_from(["the", "cat", "Cat", "sat", "on", "mats", ".", "état"]), min_size=1, max_size=9
).map(" ".join)
ROWS = st.lists(
    st.tuples(st.one_of(SENTENCES, st.just("")), st.lists(SENTENCES, min_size=1, max_size=3)), min_size=1, max_size=8
)
SYSTEMS = ("LIUM-NMT.4900", "C-3MA.4959", "FBK.4870", "uedin-nmt.4722", "online-B.0")


@given(ROWS)
def test_equal_sacrebleu(pairs: list[tuple[str, list[str]]]) -> None:
    """Mean shares are corpus BLEU and chrF, rows their sentence scores; rows may differ in references."""
    texts, references = [text for text, _ in pairs], [listed for _, listed in pairs]
    scores = score_texts(BLEU, texts, references)
    streams = [[listed[n] if n < len(listed) else None for listed in references] for n in range(3)]
    streams = [stream for stream in streams if any(stream)]
    assert scores["bleu"].mean() == pytest.approx(sacrebleu.corpus_bleu(texts, streams, force=True).score, abs=1e-9)  # type: ignore[arg-type]
    assert scores["chrf"].mean() == pytest.approx(sacrebleu.corpus_chrf(texts, streams).score, abs=1e-9)  # type: ignore[arg-type]
    assert scores["sentence_bleu"].tolist() == [sacrebleu.sentence_bleu(*pair).score for pair in pairs]
    assert scores["sentence_chrf"].tolist() == [sacrebleu.sentence_chrf(*pair).score for pair in pairs]


@given(ROWS.filter(lambda pairs: len(pairs) > 1))
def test_shares_leave_out_one_row_each(pairs: list[tuple[str, list[str]]]) -> None:
    """A row's share says what sacrebleu gives without it."""
    texts, references = [text for text, _ in pairs], [listed[:1] for _, listed in pairs]
    rows = len(pairs)
    share = score_texts(BLEU, texts, references)["bleu"]
    without = np.array(
        [
            sacrebleu.corpus_bleu(
                texts[:n] + texts[n + 1 :], [[t for [t] in references[:n] + references[n + 1 :]]]
            ).score
            for n in range(rows)
        ]
    )
    assert share - share.mean() == pytest.approx((rows - 1) * (without.mean() - without), abs=1e-6)


def test_signature_is_that_of_sacrebleu() -> None:
    """What sacrebleu prints stands in the signature, apart from the number of references, which the rows have."""
    metric = sacrebleu.BLEU()
    metric.corpus_score(["a"], [["a"]])
    assert str(metric.get_signature()).removeprefix("nrefs:1|") in BLEU.signatures["bleu"]
    assert "tok:intl" in Bleu(tokenizer="intl").signatures["sentence_bleu"]
    assert "eff:yes" in BLEU.signatures["sentence_bleu"]


def test_rows_without_references_do_not_apply() -> None:
    """A row with nothing to compare to cannot be scored, and the message says so."""
    with pytest.raises(DataError, match="2 references"):
        score_texts(BLEU, ["a", "b"], [["a"], [""]])


def test_an_empty_reference_beside_another_counts_for_nothing() -> None:
    """A gap in a table of references is no reference of length 0, which would forgive any brevity."""
    gaps, alone = (score_texts(BLEU, ["a cat sat here"], [["a cat sat here on it", *more]]) for more in (["", ""], []))
    assert 0 < float(gaps["bleu"][0]) < 100
    for name, values in alone.items():
        assert gaps[name].tolist() == values.tolist()


@pytest.mark.slow
@pytest.mark.parametrize("system", SYSTEMS)
def test_wmt17(shared_data: Path, system: str) -> None:
    """Five systems at newstest2017 have the BLEU of mteval-v13a and the chrF of the official script; in seconds."""
    folder = shared_data / "wmt17-en-de"
    texts, references = (
        gzip.decompress((folder / f"{name}.de.gz").read_bytes()).decode("utf-8").removesuffix("\n").split("\n")
        for name in (system, "reference")
    )
    expected = json.loads((folder / "expected_scores.json").read_text(encoding="utf-8"))["systems"][system]
    begun = time.process_time()
    scores = score_texts(BLEU, texts, [[text] for text in references])
    assert time.process_time() - begun < 60
    assert len(texts) == 3_004
    assert round(float(scores["bleu"].mean()), 2) == expected["bleu_mteval_v13a"]
    if expected["chrf2_official"] is not None:
        assert float(scores["chrf"].mean()) == pytest.approx(expected["chrf2_official"], abs=1e-4)
