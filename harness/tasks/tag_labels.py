"""The invariants of tags in a batch: does each word's first piece carry the word's tag, and nothing else a label?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.errors import LabelError
from harness.tasks.task import IGNORE_INDEX, Batch

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from harness.data.rows import Row


def check_tags(batch: Batch, rows: Sequence[Row], names: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> None:
    """Check one batch of a tagger.

    1. Input ids are the pieces of the row's words, and the special tokens around them; the end may be cut.
    2. The attention mask is 0 exactly where the input is padding.
    3. The first piece of each word has a label: the id of the word's tag.
    4. All else is -100: special tokens, other pieces, padding.

    Args:
        batch: ``input_ids``, ``attention_mask`` and ``labels`` (batch, length) int64, padded on the right or left.
        rows: their inputs are words, and their targets tags, joined by blanks.
        names: the tags in the order of their ids.
        tokenizer: a fast one, which made the ids.

    Raises:
        LabelError: one of these does not hold.
    """
    encoded = tokenizer([row.input.split(" ") for row in rows], is_split_into_words=True, split_special_tokens=True)
    columns = (batch[name].tolist() for name in ("input_ids", "attention_mask", "labels"))
    for number, (row, ids, mask, labels) in enumerate(zip(rows, *columns, strict=True)):
        where = f'Row "{row.id}"'
        seen = [place for place, attended in enumerate(mask) if attended]
        word_ids = _find_words(
            where, [ids[place] for place in seen], encoded["input_ids"][number], encoded.word_ids(number)
        )
        padded = [ids[place] for place, attended in enumerate(mask) if not attended]
        if set(padded) - {tokenizer.pad_token_id}:
            raise LabelError(
                f"{where}: the attention mask leaves out {len(padded)} tokens, and not all of them are padding.",
                why="The encoder would miss text.",
                fix="Let the tokenizer or the collator make the mask.",
            )
        tags = row.target.split()
        wanted = [IGNORE_INDEX] * len(ids)
        for before, place, word in zip([None, *word_ids], seen, word_ids, strict=False):
            if word is not None and word != before:
                wanted[place] = names.index(tags[word])
        if labels != wanted:
            raise LabelError(
                f"{where}: {_describe(labels, wanted, names)}.",
                why="The model would learn other tags than the ones meant.",
                fix="Give the first piece of each word the id of its tag, and -100 to all else: special tokens, other "
                "pieces, padding.",
            )


def _find_words(where: str, ids: list[int], whole: list[int], word_ids: Sequence[int | None]) -> list[int | None]:
    """The word of each of a row's ids, which must be the whole row, or its beginning and its closing tokens."""
    end = 1 + max((place for place, word in enumerate(word_ids) if word is not None), default=-1)
    kept = len(ids) - (len(whole) - end)
    if ids != whole[:kept] + whole[end:]:
        raise LabelError(
            f"{where}: the {len(ids)} ids that are attended to are not the pieces of its words.",
            why="Labels are told by the place of a word's first piece.",
            fix="Split words with is_split_into_words=True, and let the collator pad.",
        )
    return [*word_ids[:kept], *word_ids[end:]]


def _describe(labels: Sequence[int], wanted: Sequence[int], names: Sequence[str]) -> str:
    wrong = [place for place, (label, right) in enumerate(zip(labels, wanted, strict=True)) if label != right]
    said, meant = (
        "-100" if label == IGNORE_INDEX else f"{label} ({names[label] if 0 <= label < len(names) else 'no tag'})"
        for label in (labels[wrong[0]], wanted[wrong[0]])
    )
    return f"{len(wrong)} of {len(labels)} labels are wrong, first at piece {wrong[0]}: {said}; meant is {meant}"
