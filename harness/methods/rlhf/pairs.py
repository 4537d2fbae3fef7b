"""Preference pairs: made by the newsroom or read from a file, and as token ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.config import DataSettings
from harness.data.files import read_records
from harness.data.newsroom.preferences import write_preferences
from harness.data.rows import Row
from harness.errors import ColumnError, DataError, SettingsError
from harness.forms import Form
from harness.forms.writing import cut
from harness.methods.rlhf.policy import Ids
from harness.metrics.facts import find_event
from harness.models.loading import LoadedModel

COLUMNS = ("prompt", "chosen", "rejected")


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A prompt, and two answers to it of which one is better.

    Args:
        row: holds the prompt as its input, and the better answer as its target.
        rejected: the other answer.
    """

    row: Row
    rejected: str


@dataclass(frozen=True, kw_only=True)
class EncodedPair:
    """A pair as token ids; both answers end with EOS and follow the same prompt."""

    prompt: Ids
    chosen: Ids
    rejected: Ids


def read_pairs(path: Path) -> list[Pair]:
    """The pairs of a file with the columns prompt, chosen and rejected.

    Raises:
        DataError: the file cannot be read, or a cell is no text.
        ColumnError: a column is not there.
    """
    pairs: list[Pair] = []
    for number, record in enumerate(read_records(path, DataSettings()), start=1):
        missing = [name for name in COLUMNS if name not in record]
        if missing:
            raise ColumnError(
                f"Pair {number} of {path} has no {' and no '.join(missing)}; it has {', '.join(map(str, record))}.",
                fix=f"Name the columns {', '.join(COLUMNS)}.",
            )
        prompt, chosen, rejected = (record[name] for name in COLUMNS)
        odd = [name for name in COLUMNS if not isinstance(record[name], str) or not record[name].strip()]
        if odd or chosen == rejected:
            seen = f"{' and '.join(odd)} is no text" if odd else "two equal answers"
            raise DataError(f"Pair {number} of {path} has {seen}.", fix="Give two different texts, or drop the pair.")
        pairs.append(Pair(row=Row(id=f"pair-{len(pairs)}", input=prompt, target=chosen), rejected=rejected))
    return pairs


def make_pairs(rows: Sequence[Row]) -> list[Pair]:
    """The pairs of the newsroom's events, one for each fault.

    Raises:
        SettingsError: a row is no event that the newsroom has summed up.
    """
    pairs = []
    for row in rows:
        event = find_event(row)
        found = write_preferences(event) if event is not None else ()
        if not found or (row.input, row.target) != (found[0].prompt, found[0].chosen):
            raise SettingsError(
                f'There are no preference pairs for row "{row.id}": only summaries of the newsroom come with them.',
                why='Without pairs neither a reward model (rlhf.reward = "model") nor DPO can learn.',
                fix='Name a file of pairs in rlhf.pairs, or set rlhf.algorithm = "rloo" and another rlhf.reward, '
                "as rouge.",
            )
        pairs += [Pair(row=row, rejected=preference.rejected) for preference in found]
    return pairs


def encode_pairs(pairs: Sequence[Pair], form: Form, loaded: LoadedModel) -> list[EncodedPair]:
    """Both answers of each pair behind one prompt, which is encoded and cut as it is for the model's outputs."""
    prompts = form.encode([pair.row for pair in pairs], loaded)
    chosen = encode_answers([pair.row.target for pair in pairs], form, loaded)
    rejected = encode_answers([pair.rejected for pair in pairs], form, loaded)
    return [
        EncodedPair(prompt=prompt.input_ids, chosen=good, rejected=bad)
        for prompt, good, bad in zip(prompts, chosen, rejected, strict=True)
    ]


def encode_answers(texts: Sequence[str], form: Form, loaded: LoadedModel) -> list[list[int]]:
    """Answers as the model would write them, EOS included, each cut by its own length."""
    tokenizer, limit = loaded.tokenizer, form.experiment.encoding.max_target_tokens
    if loaded.model.config.is_encoder_decoder:
        said = tokenizer(text_target=list(texts), split_special_tokens=True)["input_ids"]
    else:
        plain = tokenizer(list(texts), add_special_tokens=False, split_special_tokens=True)["input_ids"]
        said = [[*ids, tokenizer.eos_token_id] for ids in plain]
    return [cut(ids, limit) for ids in said]
