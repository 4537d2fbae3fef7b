"""The invariants of windows over a passage: does each point at an answer exactly where it holds one?"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.data.rows import Row, Span
from harness.errors import LabelError
from harness.tasks.labels import LabelReport
from harness.tasks.spans import NO_ANSWER, Offsets
from harness.tasks.task import Batch, flatten

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from harness.tasks.task import Collator, EncodedRow


def audit_windows(
    rows: Sequence[Row],
    encoded: Sequence[EncodedRow],
    tokenizer: PreTrainedTokenizerBase,
    collator: Collator,
    *,
    batch_size: int,
) -> LabelReport:
    """Collate windows as training does and make sure that their labels mean the answers.

    1. Every answer stands in its passage, where its span says.
    2. The windows of a row show its whole question each, and all of its passage together.
    3. A window points at tokens of the passage, first before last, that hold an answer and would not without either of
       the two; where the tokenizer does not cut at an edge of the answer, the letters beside it are covered as well,
       and such windows are counted. Or it points at its first token, and then it wholly holds no answer.
    4. The attention mask is 1 on a window's tokens and 0 on padding.

    Raises:
        LabelError: one of these does not hold; the message names the row.
    """
    for row, one in zip(rows, encoded, strict=True):
        _check_spans(row)
        _check_windows(row, one, tokenizer)
    owners = [row for row, one in zip(rows, encoded, strict=True) for _ in one.features]
    windows, pointing, cut = flatten(encoded), 0, 0
    for start in range(0, len(windows), batch_size):
        part = slice(start, start + batch_size)
        batch = collator(windows[part])
        _check_masks(owners[part], [len(window["input_ids"]) for window in windows[part]], batch)
        labels = zip(batch["start_positions"].tolist(), batch["end_positions"].tolist(), strict=True)
        for row, window, positions in zip(owners[part], windows[part], labels, strict=True):
            covered = check_window(row, window["offset_mapping"], positions)
            pointing += covered is not None
            cut += covered is not None and row.context[slice(*covered)].strip() not in row.references
    return LabelReport(
        summary=f"{pointing} of {len(windows)} windows point at an answer"
        + f", {cut} of them with letters beside it that its tokens hold" * bool(cut),
        rows=len(encoded),
        supervised_tokens=2 * len(windows),
        masked_tokens=0,
        targets_cut=sum(row.target_cut for row in encoded),
        inputs_cut=sum(row.input_cut for row in encoded),
    )


def check_window(row: Row, offsets: Offsets, positions: tuple[int, int]) -> Span | None:
    """Check where one window points.

    Args:
        row: whose passage it shows.
        offsets: (tokens,) where each token of the passage stands in it.
        positions: first and last token of the answer, as the loss sees them.

    Returns:
        What these tokens cover, in characters; nothing where the window points at its first token.

    Raises:
        LabelError: it points beside the passage or at other words, or at no answer though it holds one.
    """
    known = [offset for offset in offsets if offset]
    if positions == NO_ANSWER:
        held = [span for span in row.spans if _holds(known, span)]
        if held:
            raise LabelError(
                f"Row {row.id}: a window holds the answer {row.context[slice(*held[0])]!r:.60} and points at its first "
                "token, as if it did not.",
                why="The model would learn that there is no answer where there is one.",
                fix="Point at the tokens whose offsets meet the answer.",
            )
        return None
    first, last = (offsets[place] if 0 <= place < len(offsets) else None for place in positions)
    if first is None or last is None or positions[0] > positions[1]:
        raise LabelError(
            f"Row {row.id}: a window of {len(offsets)} tokens points at tokens {positions[0]} to {positions[1]}, which "
            "is no part of its passage.",
            why="No answer can be cut out there.",
            fix="Point at tokens of the passage, or at the first token where the window does not hold the answer.",
        )
    if not any(_means(row.context, first, last, span) for span in row.spans):
        said, wanted = row.context[first[0] : last[1]], row.references[0]
        raise LabelError(
            f"Row {row.id}: the labels of a window cover {said!r:.60}, and the answer is {wanted!r:.60}.",
            why="The model would learn to point at other words than those meant.",
            fix="Point at the first and the last token whose offsets meet the answer, counted within this window.",
        )
    return first[0], last[1]


def _holds(known: Sequence[Span], span: Span) -> bool:
    """Whether a window shows all of a span, at least a token of it."""
    start, end = span
    inside = bool(known) and known[0][0] <= start and end <= known[-1][1]
    return inside and any(offset[0] < end and start < offset[1] for offset in known)


def _means(context: str, first: Span, last: Span, span: Span) -> bool:
    """Whether tokens from ``first`` to ``last`` hold all of a span, and would not without either of the two."""
    start, end = span
    missed = context[start : first[0]] + context[last[1] : end]
    # Tokenizers drop control characters and the marks of letters, and no token stands where these stood.
    held = all(unicodedata.category(letter)[0] in "CMZ" for letter in missed)
    return held and first[1] > start and last[0] < end


def _check_spans(row: Row) -> None:
    texts = tuple(row.context[start:end] if 0 <= start < end else None for start, end in row.spans)
    if (texts or ("",)) != row.references or any(end > len(row.context) for _, end in row.spans):
        raise LabelError(
            f"Row {row.id}: its answers are {row.references!r:.80}, and its spans, {row.spans!r:.80} of a passage of "
            f"{len(row.context)} characters, hold {texts!r:.80}.",
            why="The model would learn to point at other words than those that are scored.",
            fix="Count characters, not bytes or words; of a question without an answer the only reference is empty.",
        )


def _check_windows(row: Row, encoded: EncodedRow, tokenizer: PreTrainedTokenizerBase) -> None:
    question = tokenizer(row.input, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    shown: set[int] = set()
    for window in encoded.features:
        ids, offsets = window["input_ids"], window["offset_mapping"]
        front = next((place for place, offset in enumerate(offsets) if offset), len(ids))
        if not any(ids[place : place + len(question)] == question for place in range(front)):
            raise LabelError(
                f"Row {row.id}: a window does not begin with the question's {len(question)} tokens but with "
                f"{tokenizer.decode(ids[:front])!r:.60}.",
                why="The model cannot know what it is asked.",
                fix='Cut the passage alone: truncation="only_second".',
            )
        shown.update(place for offset in offsets if offset for place in range(*offset))
    missed = [place for place, letter in enumerate(row.context) if letter.isalnum() and place not in shown]
    if missed:
        raise LabelError(
            f"Row {row.id}: {len(missed)} of {len(row.context)} characters of the passage are in none of its "
            f"{len(encoded.features)} windows, from {row.context[missed[0] : missed[0] + 40]!r} on.",
            why="An answer there cannot be found.",
            fix="Let each window begin before the end of the one in front of it.",
        )


def _check_masks(rows: Sequence[Row], lengths: Sequence[int], batch: Batch) -> None:
    for row, length, mask in zip(rows, lengths, batch["attention_mask"].tolist(), strict=True):
        if mask != [1] * length + [0] * (len(mask) - length):
            raise LabelError(
                f"Row {row.id}: the attention mask covers {sum(mask)} of {len(mask)} places, and the window has "
                f"{length} tokens from the first place on.",
                why="The model would read padding or miss text, and labels count tokens from the first.",
                fix='Pad with the tokenizer, padding_side = "right".',
            )
