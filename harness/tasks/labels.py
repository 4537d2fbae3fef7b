"""The invariants of labels in a batch: does the loss see the target, the whole target, and nothing else?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import LabelError, UsageError
from harness.tasks.task import IGNORE_INDEX, Batch, flatten

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from harness.tasks.task import Collator, EncodedRow


@dataclass(frozen=True, kw_only=True)
class LabelReport:
    """What the loss will see of a set of rows.

    Args:
        summary: what the labels were found to be, in a few words.
        rows: how many rows were looked at.
        supervised_tokens: labels that take part in the loss.
        masked_tokens: labels that do not.
        targets_cut: targets longer than allowed.
        inputs_cut: inputs longer than allowed.
    """

    summary: str
    rows: int
    supervised_tokens: int
    masked_tokens: int
    targets_cut: int
    inputs_cut: int


def audit_labels(
    targets: Sequence[str],
    encoded: Sequence[EncodedRow],
    tokenizer: PreTrainedTokenizerBase,
    collator: Collator,
    *,
    batch_size: int,
) -> LabelReport:
    """Collate rows as training does and make sure that the labels mean the targets, one text a row.

    Raises:
        LabelError: an invariant of `check_labels` does not hold.
    """
    supervised = masked = 0
    for start in range(0, len(encoded), batch_size):
        part = slice(start, start + batch_size)
        batch = collator(flatten(encoded[part]))
        cut = [row.target_cut for row in encoded[part]]
        check_labels(batch, targets[part], tokenizer, cut=cut)
        labels = batch["labels"]
        supervised += int((labels != IGNORE_INDEX).sum())
        masked += int((labels == IGNORE_INDEX).sum())
    return LabelReport(
        summary=f"{supervised:,} supervised tokens decode to the targets, each with one EOS",
        rows=len(encoded),
        supervised_tokens=supervised,
        masked_tokens=masked,
        targets_cut=sum(row.target_cut for row in encoded),
        inputs_cut=sum(row.input_cut for row in encoded),
    )


def check_labels(
    batch: Batch, targets: Sequence[str], tokenizer: PreTrainedTokenizerBase, *, cut: Sequence[bool] | None = None
) -> None:
    """Check one batch of an encoder-decoder.

    1. The supervised positions of a row come first and without a gap; what follows is -100.
    2. They are the target's tokens, all of them, and exactly one EOS.
    3. Decoder inputs, where the batch holds them, are the labels one place later and have no -100.
    4. The attention mask is 0 exactly where the input is padding.

    Args:
        batch: ``labels`` (batch, target_len), ``input_ids`` and ``attention_mask`` (batch, source_len), and maybe
            ``decoder_input_ids`` (batch, target_len); int64.
        targets: the text of each row's target.
        tokenizer: the tokenizer that made the labels.
        cut: for each row whether its target was meant to be cut to its beginning; none by default.

    Raises:
        LabelError: one of these does not hold.
        UsageError: there are more or fewer targets than rows.
    """
    if len(targets) != len(batch["labels"]):
        raise UsageError(
            f"The batch has {len(batch['labels'])} rows of labels and there are {len(targets)} targets.",
            fix="Give the target of each row, in the batch's order.",
        )
    if "attention_mask" not in batch:
        raise LabelError(
            "The batch has no attention mask.",
            why="transformers 5 takes padding for text then, and says nothing.",
            fix="Let the tokenizer or the collator make the mask.",
        )
    import torch

    batch = {name: torch.as_tensor(values) for name, values in batch.items()}
    cut = [False] * len(targets) if cut is None else cut
    for number, (target, labels, shortened) in enumerate(zip(targets, batch["labels"].tolist(), cut, strict=True)):
        _check_row(number, target, labels, tokenizer, cut=shortened)
    if "decoder_input_ids" in batch:
        _check_decoder_inputs(batch)
    # A pad token inside a text is not padding, so only the run of pads at the end of a row counts.
    for number, (ids, mask) in enumerate(
        zip(batch["input_ids"].tolist(), batch["attention_mask"].tolist(), strict=True)
    ):
        length = len(ids)
        while length and ids[length - 1] == tokenizer.pad_token_id:
            length -= 1
        if mask != [1] * length + [0] * (len(ids) - length):
            raise LabelError(
                f"Row {number}: the attention mask covers {sum(mask)} tokens and the input has {length}.",
                why="The encoder would read padding, or miss text.",
                fix="Let the tokenizer or the collator make the mask.",
            )


def _check_decoder_inputs(batch: Batch) -> None:
    inputs, labels = batch["decoder_input_ids"], batch["labels"]
    if bool((inputs == IGNORE_INDEX).any()):
        raise LabelError(
            "The decoder inputs hold -100.",
            why="-100 is no token.",
            fix="Replace -100 by pad before shifting the labels.",
        )
    supervised = labels[:, :-1] != IGNORE_INDEX
    if bool((inputs[:, 1:][supervised] != labels[:, :-1][supervised]).any()):
        raise LabelError(
            "The decoder inputs are not the labels one place later.",
            why="The decoder would see the very token that it has to predict, or another text.",
            fix="Let the model shift the labels: prepare_decoder_input_ids_from_labels.",
        )


def _check_row(number: int, target: str, labels: list[int], tokenizer: PreTrainedTokenizerBase, *, cut: bool) -> None:
    supervised = [label for label in labels if label != IGNORE_INDEX]
    where = f"Row {number}"
    if labels[: len(supervised)] != supervised:
        raise LabelError(
            f"{where}: {len(labels) - len(supervised)} of {len(labels)} labels are -100, some before supervised ones.",
            why="A masked token inside the target is never learned.",
            fix="Mask padding only: -100 belongs behind the EOS.",
        )
    ends = supervised.count(tokenizer.eos_token_id)
    if ends != 1 or supervised[-1] != tokenizer.eos_token_id:
        padding = supervised.count(tokenizer.pad_token_id)
        raise LabelError(
            f"{where}: the {len(supervised)} supervised labels hold {ends} EOS and {padding} padding tokens; "
            f"expected is one EOS, at the end, and no padding.{_say_lookalikes(target, tokenizer)}",
            why="Without EOS the model never learns to stop; with padding it learns to pad.",
            fix="Keep the EOS of the target, and set padding to -100 (not by token value where pad is EOS).",
        )
    expected = tokenizer(text_target=target, split_special_tokens=True)["input_ids"]
    if supervised[:-1] != (expected[: len(supervised) - 1] if cut else expected[:-1]):
        raise LabelError(
            f"{where}: the supervised labels decode to {tokenizer.decode(supervised)!r:.80}, "
            f"the target is {target!r:.80}.",
            why="The model would learn another text than the one meant.",
            fix="Tokenize the whole target with text_target=, and do not shift the labels: the model does.",
        )


def _say_lookalikes(target: str, tokenizer: PreTrainedTokenizerBase) -> str:
    """Some vocabularies hold a special token as a piece of text as well, and then nothing can tell the two apart."""
    found = [token for token in (tokenizer.eos_token, tokenizer.pad_token) if token in target]
    return f' The target itself holds "{found[0]}": take it out of the data.' if found else ""
