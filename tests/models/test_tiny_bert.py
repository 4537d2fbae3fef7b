"""The tiny BERT: a base that fills masked words and finds in a document what a masked sentence asks for."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForMaskedLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from harness.data.newsroom import draw_event, write_document
from harness.data.newsroom.draw import Draw
from harness.models.pretrain import documents, pretrain
from harness.models.recipes.bert import BERT, make_model, mask_batch, mask_tokens, pair_batch
from tests.models.test_tiny_checkpoints import MODELS

FOLDER = MODELS / "tiny-bert"
MASK = 4
UNSEEN = 7


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    """The stored checkpoint's tokenizer."""
    return AutoTokenizer.from_pretrained(FOLDER)


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    """The stored checkpoint."""
    return AutoModelForMaskedLM.from_pretrained(FOLDER)


def unseen() -> Iterator[str]:
    """Documents of a stream that pre-training did not draw from."""
    return (write_document(draw_event(UNSEEN, index)).text for index in itertools.count())


@torch.no_grad()
def measure(model: PreTrainedModel, batch: dict[str, torch.Tensor]) -> float:
    """Nats per masked token."""
    return float(model.eval()(**batch).loss)


@pytest.mark.parametrize(("objective", "most"), [(mask_batch, 1.2), (pair_batch, 1.2)], ids=["mask", "pair"])
def test_it_is_a_base(
    objective: object, most: float, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    """On unseen documents it needs far fewer nats a masked token than a fresh model, which knows nothing (ln 2048)."""
    batch = objective(unseen(), tokenizer, Draw("unseen"))  # type: ignore[operator]
    torch.manual_seed(1)
    assert measure(make_model(tokenizer), batch) > 7.0
    assert measure(model, batch) < most


@torch.no_grad()
def test_it_reads_the_document_behind_the_question(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """A masked sentence costs far more in front of another document than in front of the one it stands in."""
    batch = pair_batch(unseen(), tokenizer, Draw("unseen"))
    ids = batch["input_ids"].clone()
    second = batch["token_type_ids"].bool()
    others = ids.roll(1, dims=0)
    ids[second] = others[second]
    assert measure(model, {**batch, "input_ids": ids}) > measure(model, batch) + 1.0


def test_pairs_are_sentences_and_their_document(tokenizer: PreTrainedTokenizerBase) -> None:
    """With the tokens put back, the first segment is sentences of the second; no special token is masked."""
    documents = list(itertools.islice(unseen(), 30))
    batch = pair_batch(iter(documents), tokenizer, Draw(1))
    asks, answers = ((batch["token_type_ids"] == kind) & batch["attention_mask"].bool() for kind in (0, 1))
    restored = torch.where(batch["labels"] == -100, batch["input_ids"], batch["labels"])
    for ids, ask, answer, document in zip(restored, asks, answers, documents, strict=False):
        first, second = (tokenizer.decode(ids[segment], skip_special_tokens=True) for segment in (ask, answer))
        assert second == document
        assert all(sentence in document for sentence in first.split(". "))
    masked = batch["labels"] != -100
    assert not set(batch["labels"][masked].tolist()) & set(tokenizer.all_special_ids)
    assert float(masked[asks].float().mean()) == pytest.approx(0.45, abs=0.1)
    assert float(masked[answers].float().mean()) == pytest.approx(0.3, abs=0.05)


@given(
    tokens=st.lists(st.tuples(st.integers(5, 30), st.floats(0, 1)), min_size=1, max_size=60), seed=st.integers(0, 99)
)
def test_labels_restore_what_was_masked(tokens: list[tuple[int, float]], seed: int) -> None:
    """Putting the labels back gives the text again; what may not be masked is as it was, what must be has a label."""
    ids, chances = ([pair[side] for pair in tokens] for side in (0, 1))
    source, labels = mask_tokens(ids, chances, mask=MASK, replacements=range(5, 31), draw=Draw(seed))
    assert [old if label == -100 else label for old, label in zip(source, labels, strict=True)] == ids
    for token, chance, now, label in zip(ids, chances, source, labels, strict=True):
        assert chance != 0 or (now, label) == (token, -100)
        assert chance != 1 or label == token


def test_masks_in_the_shares_of_the_paper() -> None:
    """Of the chosen 15 %, eight in ten are masked, one is another token and one stays (Devlin et al. 2019, 3.1)."""
    count = 40_000
    source, labels = mask_tokens([100] * count, [0.15] * count, mask=MASK, replacements=[101], draw=Draw("shares"))
    chosen = [now for now, label in zip(source, labels, strict=True) if label != -100]
    assert len(chosen) / count == pytest.approx(0.15, abs=0.01)
    for token, share in ((MASK, 0.8), (101, 0.1), (100, 0.1)):
        assert chosen.count(token) / len(chosen) == pytest.approx(share, abs=0.02)


@pytest.mark.slow
def test_recipe_learns(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    """Twenty-five steps lower the loss of both objectives, and the folder opens with the recipe's dropout."""
    losses = pretrain(tmp_path, tokenizer, documents(), recipe=BERT, steps=25)
    assert losses[24] < losses[0] - 0.3
    assert losses[23] < losses[1] - 0.3
    config = AutoModelForMaskedLM.from_pretrained(tmp_path).config
    assert {name: getattr(config, name) for name in BERT.dropout} == BERT.dropout
