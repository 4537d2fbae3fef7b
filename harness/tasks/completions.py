"""The invariants of a causal model's labels: the completion is learned, whole and with one EOS, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import LabelError, UsageError
from harness.tasks.task import IGNORE_INDEX, Batch


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """What one row of a batch should be.

    Args:
        prompt: the ids that are read.
        completion: the ids that are learned, EOS at their end.
    """

    prompt: Sequence[int]
    completion: Sequence[int]


def check_completions(batch: Batch, expected: Sequence[Exchange], *, eos: int, learn_prompt: bool = False) -> None:
    """Check one batch of a causal model.

    1. A row is its prompt, its completion, and padding behind them; the attention mask covers the first two exactly.
    2. The completion is supervised whole, with one EOS, which is its end. Pad may be the same token: places count.
    3. The prompt is -100, unless it is to be learned; the padding always is.

    Args:
        batch: ``input_ids``, ``attention_mask`` and ``labels``, each (batch, length) int64; labels are not shifted, for
            the model shifts them.
        expected: what each row should be.
        eos: the id that ends a text.
        learn_prompt: whether the loss is taken on the prompt as well.

    Raises:
        LabelError: one of these does not hold.
        UsageError: more or fewer rows are expected than there are.
    """
    import torch  # noqa: PLC0415 - a typo should not have to wait for it

    if "attention_mask" not in batch:
        raise LabelError(
            "The batch has no attention mask.",
            why="Where pad and EOS are one token, no model can tell padding from the end of a text.",
            fix="Let the collator make the mask from the lengths.",
        )
    rows = {name: torch.as_tensor(batch[name]).tolist() for name in ("input_ids", "attention_mask", "labels")}
    if len(rows["labels"]) != len(expected):
        raise UsageError(
            f"The batch has {len(rows['labels'])} rows of labels and {len(expected)} are expected.",
            fix="Give the expected ids of each row, in the batch's order.",
        )
    for number, wanted in enumerate(expected):
        ids, mask, labels = (rows[name][number] for name in ("input_ids", "attention_mask", "labels"))
        _check_ids(f"Row {number}", ids, mask, wanted)
        _check_labels(f"Row {number}", labels, wanted, eos=eos, learn_prompt=learn_prompt)


def _check_ids(where: str, ids: list[int], mask: list[int], wanted: Exchange) -> None:
    text = [*wanted.prompt, *wanted.completion]
    if mask != [1] * len(text) + [0] * (len(ids) - len(text)):
        raise LabelError(
            f"{where}: the attention mask covers {sum(mask)} tokens; prompt and completion have {len(text)}.",
            why="The model would read padding, or miss text.",
            fix="Make the mask from the lengths, with padding on the right.",
        )
    if ids[: len(text)] != text:
        place = next(place for place, (one, other) in enumerate(zip(ids, text, strict=False)) if one != other)
        side = "prompt" if place < len(wanted.prompt) else "completion"
        raise LabelError(
            f"{where}: token {place} of the input is {ids[place]}, and {text[place]} in its {side}.",
            why="The model would read another text than the one meant.",
            fix="Join the ids of prompt and completion, and let nothing behind change them.",
        )


def _check_labels(where: str, labels: list[int], wanted: Exchange, *, eos: int, learn_prompt: bool) -> None:
    begin, end = len(wanted.prompt), len(wanted.prompt) + len(wanted.completion)
    prompt, completion, padding = labels[:begin], labels[begin:end], labels[end:]
    if any(label != IGNORE_INDEX for label in padding):
        raise LabelError(
            f"{where}: {sum(label != IGNORE_INDEX for label in padding)} of {len(padding)} labels behind the text "
            "are supervised.",
            why="The model would learn to go on behind its end.",
            fix="Pad labels with -100.",
        )
    if prompt != (list(wanted.prompt) if learn_prompt else [IGNORE_INDEX] * begin):
        learned = sum(label != IGNORE_INDEX for label in prompt)
        raise LabelError(
            f"{where}: {learned} of the {begin} tokens of the prompt are supervised; "
            f"expected {'are all of them, by their own ids' if learn_prompt else 'is none'}.",
            why="The loss would be that of another lesson than the one meant.",
            fix="Set the labels by the prompt's length, and encoding.loss_on to what you mean.",
        )
    if IGNORE_INDEX in completion:
        raise LabelError(
            f"{where}: {completion.count(IGNORE_INDEX)} of the {len(completion)} tokens of the completion are -100.",
            why="A masked token is never learned; without its EOS the model never stops.",
            fix="Mask by the prompt's length, never by token value: pad may be EOS.",
        )
    if completion != list(wanted.completion):
        raise LabelError(
            f"{where}: the {len(completion)} labels of the completion are other tokens than it has.",
            why="The model would learn another text than the one meant.",
            fix="Use the ids themselves as labels, and do not shift them: the model does.",
        )
    if completion.count(eos) != 1 or completion[-1] != eos:
        raise LabelError(
            f"{where}: the completion holds {completion.count(eos)} EOS; expected is one, at the end.",
            why="Without EOS the model never learns to stop, and behind a first one nothing is ever written.",
            fix="End each completion with EOS, and take texts that spell it out of the data.",
        )
