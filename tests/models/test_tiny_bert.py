"""The recipe of the tiny BERT: what it masks, what it pairs, and that it learns."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForMaskedLM, PreTrainedTokenizerBase

from harness.data.newsroom import draw_event, write_document
from harness.data.newsroom.draw import Draw
from harness.models.pretrain import documents, make_tokenizer, pretrain
from harness.models.recipes.bert import BERT, make_model, mask_tokens, pair_batch, wave_positions

MASK = 4
UNSEEN = 7


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerBase:
    """The recipe's tokenizer, of a few documents."""
    return make_tokenizer(tmp_path_factory.mktemp("bert"), recipe=BERT, texts=500)


def unseen() -> Iterator[str]:
    """Documents of a stream that pre-training did not draw from."""
    return (write_document(draw_event(UNSEEN, index)).text for index in itertools.count())


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


def test_positions_begin_as_waves(tokenizer: PreTrainedTokenizerBase) -> None:
    """The likeness of two fresh positions depends on their distance alone."""
    model = make_model(tokenizer)
    waves = wave_positions(model.config)
    likeness = waves @ waves.T
    for distance in (0, 1, 5, 100):
        torch.testing.assert_close(
            likeness.diagonal(distance), likeness[0, distance].expand(512 - distance), rtol=0, atol=1e-2
        )
    torch.testing.assert_close(waves.square().mean(1), torch.ones(512))
    torch.testing.assert_close(
        model.bert.embeddings.position_embeddings.weight.detach(), waves * model.config.initializer_range
    )


@pytest.mark.slow
def test_recipe_learns(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    """Twenty-five steps lower the loss of both objectives, and the folder opens with the recipe's dropout."""
    losses = pretrain(tmp_path, tokenizer, documents(), recipe=BERT, steps=25)
    assert losses[24] < losses[0] - 0.3
    assert losses[23] < losses[1] - 0.3
    config = AutoModelForMaskedLM.from_pretrained(tmp_path).config
    assert {name: getattr(config, name) for name in BERT.dropout} == BERT.dropout
