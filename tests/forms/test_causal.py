"""Prompt and completion: the loss sees the completion, the whole completion with one EOS, and nothing else."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import processors

from harness.config import load_experiment
from harness.data.rows import Row
from harness.errors import DataError, EmptyTargetError, LabelError, UsageError
from harness.experiment import run
from harness.forms.causal import cut_middle, join
from harness.models.loading import LoadedModel
from harness.tasks.completions import Exchange, check_completions
from harness.tasks.task import IGNORE_INDEX, Batch, flatten
from tests.forms.causal_models import load_small, make_causal, save_small
from tests.small import LEARNS

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(str.strip)
LOOKALIKES = st.sampled_from(["</s>", "<pad>", "<s>", "a </s> b", "<|endoftext|>", "<|assistant|>", "-100"])
ROWS = st.lists(st.tuples(TEXTS | LOOKALIKES, TEXTS | LOOKALIKES), min_size=1, max_size=6)
WHOLE: dict[str, object] = {"encoding__max_input_tokens": 9999, "encoding__max_target_tokens": 9999}
"""Nothing is cut."""


@pytest.fixture(scope="module", params=["llama", "gpt2", "phi"])
def loaded(request: pytest.FixtureRequest) -> LoadedModel:
    """A Llama over a small tokenizer, and shapes over the real tokenizers of GPT-2 and Phi-3."""
    kind: str = request.param
    made = load_small(kind, None if kind == "llama" else request.getfixturevalue("shared_data"))
    made.model.config.max_position_embeddings = 99_999  # nothing is run with such lengths
    return made


def make_rows(texts: list[tuple[str, str]]) -> list[Row]:
    return [Row(id=str(number), input=source, target=target) for number, (source, target) in enumerate(texts)]


@given(texts=ROWS)
@example(texts=[("a", "b"), ("a " * 50, "b " * 50)])
@example(texts=[("x </s> y", "a </s> b <|endoftext|> c")])
def test_the_completion_alone_is_learned(loaded: LoadedModel, texts: list[tuple[str, str]]) -> None:
    """Whatever the texts: labels are target and EOS, prompt and padding are -100, and the mask covers the text."""
    form, tokenizer, rows = make_causal(**WHOLE), loaded.tokenizer, make_rows(texts)
    encoded = form.encode(rows, loaded)
    batch = form.make_collator(loaded)(flatten(encoded))
    for row, entry, ids, mask, labels in zip(
        rows, encoded, batch["input_ids"], batch["attention_mask"], batch["labels"], strict=True
    ):
        expected = tokenizer(row.target, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        if loaded.name != "phi":  # its tokenizer loses blanks beside tokens
            assert tokenizer.decode(expected, clean_up_tokenization_spaces=False) == row.target
        begin, end = len(entry.input_ids), len(entry.input_ids) + len(expected) + 1
        assert labels.tolist()[begin:end] == [*expected, tokenizer.eos_token_id]
        assert labels[labels != IGNORE_INDEX].numel() == len(expected) + 1
        assert ids[:begin].tolist() == entry.input_ids
        assert mask.tolist() == [1] * end + [0] * (len(ids) - end)
        assert tokenizer.eos_token_id not in entry.input_ids
        assert tokenizer.decode(entry.input_ids, skip_special_tokens=True).endswith("\n")
    assert form.audit(rows, encoded, loaded, form.make_collator(loaded)).supervised_tokens == int(
        (batch["labels"] != IGNORE_INDEX).sum()
    )


def test_prompt_is_known(loaded: LoadedModel) -> None:
    """Prefix, text and line break, begun as the tokenizer begins a text; in training and generation the same ids."""
    (encoded,) = make_causal().encode(make_rows([("one two", "three")]), loaded)
    begin = loaded.tokenizer("")["input_ids"]
    assert encoded.input_ids[: len(begin)] == begin
    assert loaded.tokenizer.decode(encoded.input_ids[len(begin) :]).rstrip(" \n") == "summarize: one two"
    assert encoded.features[0]["input_ids"][: len(encoded.input_ids)] == encoded.input_ids


def test_prompt_does_not_end_with_eos() -> None:
    """A tokenizer that closes each text with EOS closes the completion, and not the prompt."""
    small = load_small("llama")
    tokenizer = copy.deepcopy(small.tokenizer)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    closing = LoadedModel(name="closing", model=small.model, tokenizer=tokenizer)
    assert tokenizer("a")["input_ids"][-1] == 2
    rows = make_rows([("one two", "three")])
    assert make_causal().encode(rows, closing) == make_causal().encode(rows, small)


def test_prompts_are_learned_where_asked(loaded: LoadedModel) -> None:
    """With loss_on = "all" every token of prompt and completion is its own label, and the padding is not."""
    form = make_causal(encoding__loss_on="all")
    rows = make_rows([("one two three", "four five"), ("six", "seven")])
    encoded, collator = form.encode(rows, loaded), form.make_collator(loaded)
    batch = collator(flatten(encoded))
    assert torch.equal(batch["labels"] != IGNORE_INDEX, batch["attention_mask"] == 1)
    assert "prompts and completions" in form.audit(rows, encoded, loaded, collator).summary
    with pytest.raises(LabelError, match="of the prompt are supervised; expected is none"):
        make_causal().audit(rows, encoded, loaded, collator)


@given(texts=ROWS, limit=st.integers(2, 8))
def test_what_is_cut(texts: list[tuple[str, str]], limit: int) -> None:
    """A prompt loses its middle, a target its end but for EOS; both are counted, and neither is longer than allowed."""
    loaded, rows = load_small("llama"), make_rows(texts)
    short = make_causal(encoding__max_input_tokens=limit, encoding__max_target_tokens=limit)
    loaded.model.config.max_position_embeddings = 99_999
    for row, whole in zip(short.encode(rows, loaded), make_causal(**WHOLE).encode(rows, loaded), strict=True):
        said, all_said = (entry.features[0]["input_ids"][len(entry.input_ids) :] for entry in (row, whole))
        assert len(row.input_ids) <= limit
        assert len(said) <= limit
        assert said == [*all_said[: len(said) - 1], loaded.tokenizer.eos_token_id]
        assert (row.input_cut, row.target_cut) == (len(whole.input_ids) > limit, len(all_said) > limit)
        assert row.input_ids[0] == loaded.tokenizer.bos_token_id
        assert row.input_ids[-1] == whole.input_ids[-1]


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 30))
def test_both_ends_of_a_cut_prompt_survive(ids: list[int], limit: int) -> None:
    """At most the limit, first and last ids alike, and nothing is cut that fits."""
    kept = cut_middle(ids, limit)
    assert len(kept) == min(len(ids), limit)
    end = limit // 2 if len(ids) > limit else 0
    assert kept == ids[: len(kept) - end] + ids[len(ids) - end :]


def test_padding_takes_no_loss(loaded: LoadedModel) -> None:
    """The likelihood of a row is the same alone and beside a longer row."""
    form = make_causal("generation")
    rows = make_rows([("one two", "three"), ("x " * 40, "y " * 40)])
    encoded, settings = form.encode(rows, loaded), form.resolve(loaded)
    together = form.predict(loaded, rows, encoded, settings)
    alone = [form.predict(loaded, [row], [entry], settings)[0] for row, entry in zip(rows, encoded, strict=True)]
    for one, other in zip(together, alone, strict=True):
        assert one.nats == pytest.approx(other.nats, rel=1e-4)
        assert (one.tokens, one.text) == (other.tokens, other.text)
    assert [output.tokens for output in alone] == [
        len(row.features[0]["input_ids"]) - len(row.input_ids) for row in encoded
    ]


def test_likelihood_is_that_of_the_completion(loaded: LoadedModel) -> None:
    """Nats are the sum over the completion's tokens of the model's own log-probabilities, each from its prefix."""
    form = make_causal("generation")
    rows = make_rows([("one two", "three four")])
    (entry,) = form.encode(rows, loaded)
    ids = entry.features[0]["input_ids"]
    with torch.inference_mode():
        expected = -sum(
            float(loaded.model(torch.tensor([ids[:place]])).logits[0, -1].log_softmax(-1)[ids[place]])
            for place in range(len(entry.input_ids), len(ids))
        )
    (output,) = form.predict(loaded, rows, [entry], form.resolve(loaded))
    assert output.nats == pytest.approx(expected, rel=1e-4)


def test_rows_without_text_are_named(loaded: LoadedModel) -> None:
    """Nothing to learn is found before anything trains."""
    rows = [Row(id="first", input="a", target="b"), Row(id="second", input="a", target="c")]
    with pytest.raises(EmptyTargetError, match=r"2 of 2 rows .*max_target_tokens = 1\): rows first, second"):
        make_causal(encoding__max_target_tokens=1).encode(rows, loaded)


def test_too_few_places_are_said_with_numbers() -> None:
    """A row that is longer than the model has places is an error before the model fails on it, or writes noise."""
    loaded = load_small("llama")
    row = Row(id="long", input="word " * 600, target="t")
    with pytest.raises(DataError, match=r'Row "long" needs \d+ places: .* up to 64; llama has 512'):
        make_causal(encoding__max_input_tokens=500).encode([row], loaded)
    make_causal(encoding__max_input_tokens=448).encode([row], loaded)


def pad_not_masked(batch: Batch) -> None:
    batch["labels"] = torch.where(batch["attention_mask"] == 0, batch["input_ids"], batch["labels"])


def eos_masked_by_value(batch: Batch) -> None:
    batch["labels"][batch["labels"] == batch["eos"]] = IGNORE_INDEX


def prompt_learned(batch: Batch) -> None:
    batch["labels"][0] = torch.where(batch["attention_mask"][0] == 1, batch["input_ids"][0], IGNORE_INDEX)


def prompt_learned_by_one(batch: Batch) -> None:
    place = int((batch["labels"][0] != IGNORE_INDEX).nonzero()[0]) - 1
    batch["labels"][0, place] = batch["input_ids"][0, place]


def first_of_completion_masked(batch: Batch) -> None:
    batch["labels"][0, int((batch["labels"][0] != IGNORE_INDEX).nonzero()[0])] = IGNORE_INDEX


def shifted_by_hand(batch: Batch) -> None:
    batch["labels"] = torch.cat([batch["labels"][:, 1:], torch.full_like(batch["labels"][:, :1], IGNORE_INDEX)], dim=1)


def all_masked(batch: Batch) -> None:
    batch["labels"][:] = IGNORE_INDEX


def eos_replaced(batch: Batch) -> None:
    for name in ("labels", "input_ids"):
        batch[name][batch["labels"] == batch["eos"]] = 7


def other_row(batch: Batch) -> None:
    batch["labels"] = batch["labels"].flip(0)


def mask_of_ones(batch: Batch) -> None:
    batch["attention_mask"][:] = 1


def mask_by_value(batch: Batch) -> None:
    batch["attention_mask"][batch["input_ids"] == batch["eos"]] = 0


def padded_on_the_left(batch: Batch) -> None:
    for name in ("input_ids", "attention_mask", "labels"):
        lengths = batch["attention_mask"].sum(1).tolist() if name != "attention_mask" else batch[name].sum(1).tolist()
        batch[name] = torch.stack(
            [row.roll(len(row) - length) for row, length in zip(batch[name], lengths, strict=True)]
        )


def prompt_of_another(batch: Batch) -> None:
    batch["input_ids"][0, 1] += 1


BUGS: list[Callable[[Batch], None]] = [
    pad_not_masked, eos_masked_by_value, prompt_learned, prompt_learned_by_one, first_of_completion_masked,
    shifted_by_hand, all_masked, eos_replaced, other_row, mask_of_ones, mask_by_value, padded_on_the_left,
    prompt_of_another,
]  # fmt: skip


@pytest.mark.parametrize("bug", BUGS)
def test_planted_bug_is_found(bug: Callable[[Batch], None], loaded: LoadedModel) -> None:
    """Each way to spoil a batch turns the form's own audit red, and the same batch unspoilt is green."""
    form = make_causal()
    rows = make_rows([("one two", "three four five"), ("long " * 9, "six seven")])
    encoded, collator = form.encode(rows, loaded), form.make_collator(loaded)

    def spoil(examples: list[dict[str, object]]) -> Batch:
        batch = {**collator(examples), "eos": loaded.tokenizer.eos_token_id}
        bug(batch)
        return batch

    form.audit(rows, encoded, loaded, collator)
    with pytest.raises(LabelError):
        form.audit(rows, encoded, loaded, spoil)


def test_an_eos_inside_a_completion_is_found() -> None:
    """A completion with two EOS, or without one, is named; so is a batch without a mask, and a wrong count."""
    for completion, seen in (([5, 2, 6, 2], "holds 2 EOS"), ([5, 6], "holds 0 EOS")):
        features = join([1, 4], completion, learn_prompt=False)
        batch = {name: [values] for name, values in features.items()}
        with pytest.raises(LabelError, match=f"Row 0: the completion {seen}"):
            check_completions(batch, [Exchange(prompt=[1, 4], completion=completion)], eos=2)
        with pytest.raises(UsageError, match="1 rows of labels and 0 are expected"):
            check_completions(batch, [], eos=2)
        del batch["attention_mask"]
        with pytest.raises(LabelError, match="no attention mask"):
            check_completions(batch, [Exchange(prompt=[1, 4], completion=completion)], eos=2)


def test_summaries_by_a_causal_model(tmp_path: Path) -> None:
    """The straight path from rows to a verdict, on a Llama with random weights: its loss falls, and it is scored."""
    settings: dict[str, object] = {
        **LEARNS,
        "model.name": str(save_small(tmp_path / "llama")),
        "encoding.max_input_tokens": 96,
        "generation.max_length": 16,
        "training.epochs": 2,
    }
    done = run(load_experiment("summarization-full").override(settings), baselines=tmp_path)
    assert done.losses[-1] < done.losses[0] - 0.5
    assert {"rouge1", "facts_right"} <= set(done.tuned.manifest.metrics)
    assert done.base.manifest.generation["max_new_tokens"] == 16
    assert "decoder_start_token_id" not in done.base.manifest.generation
    assert done.base.manifest.encoding["loss_on"] == "target"
