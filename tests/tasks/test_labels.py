"""Label masking: the loss sees the target, the whole target with one EOS, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerBase, T5Config, T5ForConditionalGeneration

from harness.config import EncodingSettings
from harness.data.rows import Row
from harness.errors import EmptyTargetError, LabelError, UsageError
from harness.models.loading import LoadedModel
from harness.tasks.labels import audit_labels, check_labels
from harness.tasks.task import IGNORE_INDEX, Batch, flatten
from tests.small import make_form

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(str.strip)
"""Texts in any script, emoji included."""
LOOKALIKES = st.sampled_from(["</s>", "<pad>", "<extra_id_0>", "a </s> b", "<unk>", "summarize: x", "-100"])
WHOLE = EncodingSettings(max_input_tokens=9999, max_target_tokens=9999)
"""Nothing is cut."""
ROWS = st.lists(st.tuples(TEXTS | LOOKALIKES, TEXTS | LOOKALIKES), min_size=1, max_size=6)


@pytest.fixture(scope="module", params=["embedded", "t5"])
def pair(request: pytest.FixtureRequest, tiny_t5: LoadedModel) -> LoadedModel:
    """A tokenizer and a model that shifts labels: the embedded ones, and the real T5 tokenizer."""
    if request.param == "embedded":
        return tiny_t5
    folder: Path = request.getfixturevalue("shared_data") / "tokenizers" / "t5"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    config = T5Config(vocab_size=len(tokenizer), d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    config.decoder_start_token_id = config.pad_token_id
    return LoadedModel(name="t5", model=T5ForConditionalGeneration(config).eval(), tokenizer=tokenizer)


def collate(pair: LoadedModel, rows: list[Row]) -> Batch:
    encoded = make_form(WHOLE).encode(rows, pair)
    return make_form().make_collator(pair)(flatten(encoded))


def make_rows(texts: list[tuple[str, str]], tokenizer: PreTrainedTokenizerBase) -> list[Row]:
    """Rows whose targets have at least one token, and none that ends or pads a text.

    T5's vocabulary holds "</s>" as a piece too, so that text cannot be told from the token; such rows are refused.
    """
    rows = []
    for number, (source, target) in enumerate(texts):
        tokens = tokenizer.tokenize(target, split_special_tokens=True)
        if tokens and not {tokenizer.eos_token, tokenizer.pad_token} & set(tokens):
            rows.append(Row(id=str(number), input=source, target=target))
    return rows


@given(texts=ROWS)
@example(texts=[("a", "b"), ("a " * 50, "b " * 50)])
@example(texts=[("x", "a </s> b")])
def test_supervised_positions_decode_to_the_target(pair: LoadedModel, texts: list[tuple[str, str]]) -> None:
    """Whatever the texts: labels are the target and one EOS, the rest is -100, decoder inputs hold none of it."""
    tokenizer = pair.tokenizer
    rows = make_rows(texts, tokenizer)
    if not rows:
        return
    batch = collate(pair, rows)
    for row, labels in zip(rows, batch["labels"], strict=True):
        supervised = labels[labels != IGNORE_INDEX].tolist()
        assert supervised.count(tokenizer.eos_token_id) == 1
        assert supervised[-1] == tokenizer.eos_token_id
        assert (labels[len(supervised) :] == IGNORE_INDEX).all()
        assert tokenizer.pad_token_id not in supervised
        # The tokenizer's own round trip, by another way than the one that made the labels.
        expected = tokenizer.convert_tokens_to_ids(tokenizer.tokenize(row.target, split_special_tokens=True))
        assert supervised[:-1] == expected
    assert (batch["decoder_input_ids"] != IGNORE_INDEX).all()
    assert (batch["decoder_input_ids"][:, 0] == tokenizer.pad_token_id).all()
    assert batch["attention_mask"].sum(dim=1).tolist() == [
        len(row.input_ids) for row in make_form(WHOLE).encode(rows, pair)
    ]
    check_labels(batch, [row.target for row in rows], tokenizer)


@given(text=TEXTS)
def test_embedded_tokenizer_loses_nothing(tiny_t5: LoadedModel, text: str) -> None:
    """With the embedded tokenizer the supervised positions decode to the very characters of the target."""
    row = Row(id="0", input="a", target=text)
    (encoded,) = make_form(EncodingSettings(max_target_tokens=4096)).encode([row], tiny_t5)
    assert tiny_t5.tokenizer.decode(encoded.labels, skip_special_tokens=True) == text


def test_input_that_reads_as_a_token(tiny_t5: LoadedModel) -> None:
    """An input that holds "</s>" is read to its end: it has one EOS, behind all of its text."""
    row = Row(id="0", input="one </s> two", target="t")
    (encoded,) = make_form(WHOLE).encode([row], tiny_t5)
    assert encoded.input_ids.count(tiny_t5.tokenizer.eos_token_id) == 1
    assert tiny_t5.tokenizer.decode(encoded.input_ids, skip_special_tokens=True) == "summarize: one </s> two"


def test_text_that_reads_as_a_token(pair: LoadedModel) -> None:
    """A target that holds "</s>" is learned as text, or refused with the reason; it never ends the target early."""
    row = Row(id="0", input="a", target="a </s> b")
    if pair.name == "tiny-t5":
        batch = collate(pair, [row])
        check_labels(batch, [row.target], pair.tokenizer)
        assert batch["labels"][0].tolist().count(pair.tokenizer.eos_token_id) == 1
    else:
        with pytest.raises(LabelError, match='The target itself holds "</s>"'):
            check_labels(collate(pair, [row]), [row.target], pair.tokenizer)


def test_padding_takes_no_loss(pair: LoadedModel) -> None:
    """The loss of a row is the same alone and beside a longer row: padding adds nothing."""
    model = pair.model
    short, long = Row(id="0", input="one two", target="three"), Row(id="1", input="x " * 40, target="y " * 40)

    def loss_of_first(rows: list[Row]) -> torch.Tensor:
        batch = collate(pair, rows)
        with torch.no_grad():
            logits = model(**batch).logits[:1]
        return torch.nn.functional.cross_entropy(
            logits.transpose(1, 2), batch["labels"][:1], ignore_index=IGNORE_INDEX, reduction="sum"
        )

    assert torch.allclose(loss_of_first([short]), loss_of_first([short, long]), rtol=1e-4)


@given(texts=ROWS, limit=st.integers(2, 8))
def test_cut_targets_keep_their_eos(pair: LoadedModel, texts: list[tuple[str, str]], limit: int) -> None:
    """A target that is cut is the target's beginning and an EOS, no longer than the limit, and is counted."""
    tokenizer = pair.tokenizer
    rows = make_rows(texts, tokenizer)
    if not rows:
        return
    encoded = make_form(EncodingSettings(max_target_tokens=limit, max_input_tokens=limit)).encode(rows, pair)
    for row, whole in zip(encoded, make_form(WHOLE).encode(rows, pair), strict=True):
        assert len(row.labels) <= limit
        assert len(row.input_ids) <= limit
        assert row.labels == [*whole.labels[: len(row.labels) - 1], tokenizer.eos_token_id]
        assert row.target_cut == (len(whole.labels) > limit)
        assert row.input_cut == (len(whole.input_ids) > limit)


def test_target_that_truncation_empties_is_an_error(tiny_t5: LoadedModel) -> None:
    """Rows with nothing left to learn are named before anything trains."""
    rows = [Row(id="first", input="a", target="b"), Row(id="second", input="a", target="c")]
    with pytest.raises(EmptyTargetError, match=r"2 of 2 rows .*max_target_tokens = 1\): rows first, second"):
        make_form(EncodingSettings(max_target_tokens=1)).encode(rows, tiny_t5)


def test_prefix_is_the_same_in_training_and_evaluation(tiny_t5: LoadedModel) -> None:
    """One function encodes both, and the experiment's prefix takes the place of the task's."""
    row = Row(id="0", input="text", target="t")
    for prefix, expected in ((None, "summarize: text"), ("", "text"), ("tl;dr ", "tl;dr text")):
        (encoded,) = make_form(EncodingSettings(prefix=prefix)).encode([row], tiny_t5)
        assert tiny_t5.tokenizer.decode(encoded.input_ids, skip_special_tokens=True) == expected


def pad_not_masked(batch: Batch) -> None:
    batch["labels"][batch["labels"] == IGNORE_INDEX] = 0


def eos_masked(batch: Batch) -> None:
    batch["labels"][batch["labels"] == 1] = IGNORE_INDEX


def shifted_twice(batch: Batch) -> None:
    batch["labels"] = torch.cat([batch["labels"][:, 1:], torch.full_like(batch["labels"][:, :1], IGNORE_INDEX)], dim=1)


def eos_missing(batch: Batch) -> None:
    batch["labels"][batch["labels"] == 1] = 7


def two_eos(batch: Batch) -> None:
    batch["labels"][:, 0] = 1


def word_masked(batch: Batch) -> None:
    batch["labels"][0, 1] = IGNORE_INDEX


def all_masked(batch: Batch) -> None:
    batch["labels"][:] = IGNORE_INDEX


def other_target(batch: Batch) -> None:
    batch["labels"] = batch["labels"].flip(0)


def input_as_target(batch: Batch) -> None:
    batch["labels"] = batch["input_ids"].clone()


def ignore_index_fed(batch: Batch) -> None:
    batch["decoder_input_ids"][-1, -1] = IGNORE_INDEX


def half_the_target(batch: Batch) -> None:
    del batch["decoder_input_ids"]
    batch["labels"][0, 2:] = IGNORE_INDEX
    batch["labels"][0, 1] = 1


def eos_alone(batch: Batch) -> None:
    del batch["decoder_input_ids"]
    batch["labels"][0, 1:] = IGNORE_INDEX
    batch["labels"][0, 0] = 1


def not_shifted(batch: Batch) -> None:
    batch["decoder_input_ids"] = batch["labels"].masked_fill(batch["labels"] == IGNORE_INDEX, 0)


def mask_of_ones(batch: Batch) -> None:
    batch["attention_mask"][:] = 1


def mask_too_short(batch: Batch) -> None:
    batch["attention_mask"][:, 2:] = 0


BUGS: list[Callable[[Batch], None]] = [
    pad_not_masked, eos_masked, shifted_twice, eos_missing, two_eos, word_masked, all_masked, other_target,
    input_as_target, ignore_index_fed, half_the_target, eos_alone, not_shifted, mask_of_ones, mask_too_short,
]  # fmt: skip


@pytest.mark.parametrize("bug", BUGS)
def test_planted_bug_is_found(bug: Callable[[Batch], None], pair: LoadedModel) -> None:
    """Each way to spoil a batch goes red, and the same batch unspoilt is green."""
    tokenizer = pair.tokenizer
    rows = [Row(id="0", input="one two", target="three four five six"), Row(id="1", input="long " * 9, target="six")]
    targets = [row.target for row in rows]
    batch = collate(pair, rows)
    check_labels(batch, targets, tokenizer)
    bug(batch)
    with pytest.raises(LabelError):
        check_labels(batch, targets, tokenizer)


def test_batch_of_lists_and_wrong_counts(pair: LoadedModel) -> None:
    """Lists will do as well as tensors; a missing mask or a target too many is said in plain words."""
    row = Row(id="0", input="one", target="two")
    batch = {name: values.tolist() for name, values in collate(pair, [row]).items()}
    check_labels(batch, ["two"], pair.tokenizer)
    with pytest.raises(UsageError, match="1 rows of labels and there are 2 targets"):
        check_labels(batch, ["two", "three"], pair.tokenizer)
    del batch["attention_mask"]
    with pytest.raises(LabelError, match="no attention mask"):
        check_labels(batch, ["two"], pair.tokenizer)


def test_audit_counts_what_the_loss_sees(tiny_t5: LoadedModel) -> None:
    """The audit covers every row through the collator that trains, and counts supervised and masked labels."""
    rows = [Row(id=str(n), input="word " * n, target="word " * n) for n in range(1, 8)]
    encoded = make_form(EncodingSettings(max_target_tokens=6)).encode(rows, tiny_t5)
    collator = make_form().make_collator(tiny_t5)
    report = audit_labels([row.target for row in rows], encoded, tiny_t5.tokenizer, collator, batch_size=3)
    assert report.rows == 7
    assert report.supervised_tokens == sum(len(row.labels) for row in encoded)
    assert report.masked_tokens > 0
    assert report.targets_cut == sum(row.target_cut for row in encoded) > 0


def test_audit_goes_red_when_the_collator_does_not_mask(tiny_t5: LoadedModel) -> None:
    """A collator that pads labels with the pad token is caught before training."""
    rows = [Row(id="0", input="a", target="b"), Row(id="1", input="a", target="b c d e f")]
    encoded = make_form(EncodingSettings()).encode(rows, tiny_t5)
    collator = make_form().make_collator(tiny_t5)

    def careless(features: list[dict[str, list[int]]]) -> Batch:
        batch = collator(features)
        pad_not_masked(batch)
        return batch

    with pytest.raises(LabelError, match="padding tokens"):
        audit_labels([row.target for row in rows], encoded, tiny_t5.tokenizer, careless, batch_size=2)
