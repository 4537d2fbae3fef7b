"""The tiny Llama: a base that writes news and copies names it never saw; and a real checkpoint of its kind."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from harness.data.newsroom import draw_event, write_document, write_summary
from harness.data.newsroom.draw import Draw
from harness.models.recipes.llama import copy_batch, make_model, next_token_batch
from harness.models.recipes.recipe import MakeBatch
from tests.models.test_tiny_checkpoints import MODELS

FOLDER = MODELS / "tiny-llama"
UNSEEN = 7


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(FOLDER)


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(FOLDER)


def unseen() -> Iterator[str]:
    """Documents of a stream that pre-training did not draw from."""
    return (write_document(draw_event(UNSEEN, index)).text for index in itertools.count())


@torch.no_grad()
def measure_perplexity(model: PreTrainedModel, batch: dict[str, torch.Tensor]) -> float:
    """The exponential of the nats per token."""
    return math.exp(float(model.eval()(**batch).loss))


@pytest.mark.parametrize(
    ("objective", "most"), [(next_token_batch, 3.5), (copy_batch, 1.3)], ids=["documents", "copies"]
)
def test_it_is_a_base(
    objective: MakeBatch, most: float, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    """Its perplexity on unseen documents and copies is far below that of a fresh model, which knows nothing."""
    batch = objective(unseen(), tokenizer, Draw("unseen"))
    torch.manual_seed(1)
    assert measure_perplexity(make_model(tokenizer), batch) > 1000
    assert measure_perplexity(model, batch) < most


def test_summaries_are_new_to_it(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """A summary surprises it as much as a fresh model: there is everything to teach."""
    summaries = (write_summary(draw_event(UNSEEN, index)).text for index in itertools.count())
    assert measure_perplexity(model, next_token_batch(summaries, tokenizer, Draw(0))) > 1000


def test_it_copies_names_and_stops(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Greedy decoding of a padded batch says unseen sentences again, with three in four of their names, and ends."""
    sentences = [text.split(". ")[0] for text in itertools.islice(unseen(), 24)]
    prompts = tokenizer([f"{text}\n" for text in sentences], padding=True, return_tensors="pt")
    tokens = model.generate(**prompts, max_new_tokens=60, do_sample=False)[:, prompts["input_ids"].shape[1] :]
    assert (tokens == tokenizer.eos_token_id).any(dim=1).all()
    said = tokenizer.batch_decode(tokens, skip_special_tokens=True)
    found = [name in text for text, sentence in zip(said, sentences, strict=True) for name in names(sentence)]
    assert len(found) > 90
    assert sum(found) / len(found) > 0.75


def names(sentence: str) -> list[str]:
    """The capitalised words of a sentence."""
    return [word.strip(",.") for word in sentence.split() if word[0].isupper()]


def test_documents_begin_and_end(tokenizer: PreTrainedTokenizerBase) -> None:
    """Each row is BOS, a whole document and EOS, with loss on all of it and none on the padding."""
    documents = list(itertools.islice(unseen(), 30))
    batch = next_token_batch(iter(documents), tokenizer, Draw(0))
    for ids, mask, labels, document in zip(*batch.values(), documents, strict=False):
        said = ids[mask.bool()]
        assert [int(said[0]), int(said[-1])] == [tokenizer.bos_token_id, tokenizer.eos_token_id]
        assert tokenizer.decode(said, skip_special_tokens=True) == document
        assert labels[mask.bool()].equal(said)
        assert set(labels[~mask.bool()].tolist()) <= {-100}


def test_copies_say_the_sentence_again(tokenizer: PreTrainedTokenizerBase) -> None:
    """Behind each prompt stands the same sentence, and loss is taken of it and its EOS alone."""
    batch = copy_batch(unseen(), tokenizer, Draw(0))
    for row, labels in zip(batch["input_ids"].tolist(), batch["labels"].tolist(), strict=True):
        ends = [place for place, token in enumerate(row) if token == tokenizer.eos_token_id]
        for start, end in itertools.pairwise([-1, *ends]):
            prompt, copy = tokenizer.decode(row[start + 1 : end], skip_special_tokens=True).split("\n")
            assert copy.strip() == prompt
            supervised = [token for token in labels[start + 1 : end + 1] if token != -100]
            assert tokenizer.decode(supervised[:-1]) == prompt
            assert supervised[-1] == tokenizer.eos_token_id


def test_real_checkpoint_tells_its_story(shared_data: Path) -> None:
    """A Llama trained by others gives, greedily from BOS alone, the text that its author documents."""
    folder = shared_data / "checkpoints" / "stories260K"
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    expected = (folder / "expected_greedy.txt").read_text(encoding="utf-8").strip()
    begin = torch.tensor([[tokenizer.bos_token_id]])
    tokens = model.generate(begin, attention_mask=torch.ones_like(begin), max_new_tokens=256, do_sample=False)
    said = tokenizer.decode(tokens[0], skip_special_tokens=True).strip()
    assert said == expected
