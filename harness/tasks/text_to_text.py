"""Tasks that turn a text into a text with an encoder-decoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import DataCollatorForSeq2Seq, PreTrainedModel, PreTrainedTokenizerBase

from harness.config import EncodingSettings
from harness.data.rows import NAMED, Row
from harness.errors import DataError, EmptyTargetError
from harness.tasks.task import IGNORE_INDEX, Collator, EncodedRow


@dataclass(frozen=True, kw_only=True)
class TextToText:
    """A task whose loss is the negative log-likelihood of the target's tokens, EOS included."""

    name: str
    prefix: str
    metric: str
    auto_class: str = "AutoModelForSeq2SeqLM"

    def encode(
        self, rows: Sequence[Row], tokenizer: PreTrainedTokenizerBase, settings: EncodingSettings
    ) -> list[EncodedRow]:
        """Turn rows into token ids, truncated to the limits; nothing is padded yet.

        Raises:
            DataError: no token of an input is left beside EOS.
            EmptyTargetError: no token of a target is left beside EOS; the message names the rows.
        """
        prefix = self.prefix if settings.prefix is None else settings.prefix
        # A text that happens to hold "</s>" is text; taken for the token it would end the input or the target there.
        sources = tokenizer([prefix + row.input for row in rows], split_special_tokens=True)["input_ids"]
        targets = tokenizer(text_target=[row.target for row in rows], split_special_tokens=True)["input_ids"]
        encoded = [
            EncodedRow(
                id=row.id,
                input_ids=cut(source, settings.max_input_tokens),
                labels=cut(target, settings.max_target_tokens),
                input_cut=len(source) > settings.max_input_tokens,
                target_cut=len(target) > settings.max_target_tokens,
            )
            for row, source, target in zip(rows, sources, targets, strict=True)
        ]
        eos = tokenizer.eos_token_id
        unread = [row.id for row in encoded if set(row.input_ids) <= {eos}]
        if unread:
            raise DataError(
                f"{len(unread)} of {len(rows)} rows have nothing to read{_say_rows('input', unread, settings)}",
                fix="Raise encoding.max_input_tokens, or drop these rows.",
            )
        empty = [row.id for row in encoded if set(row.labels) <= {eos}]
        if empty:
            raise EmptyTargetError(
                f"{len(empty)} of {len(rows)} rows have nothing to learn{_say_rows('target', empty, settings)}",
                why="The model would learn to say nothing.",
                fix="Raise encoding.max_target_tokens, or drop these rows.",
            )
        return encoded

    def make_collator(self, tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> Collator:
        """Pad to the longest row of the batch; labels get -100; decoder inputs are the labels shifted by the model.

        The collator returns ``input_ids`` and ``attention_mask`` (batch, source_len), ``labels`` and
        ``decoder_input_ids`` (batch, target_len), all int64.
        """
        collator: Collator = DataCollatorForSeq2Seq(tokenizer, model=model, label_pad_token_id=IGNORE_INDEX)
        return collator


def cut(ids: list[int], limit: int) -> list[int]:
    """At most ``limit`` ids; what is cut is the text before the closing token (EOS), never that token."""
    return ids if len(ids) <= limit else [*ids[: limit - 1], ids[-1]]


def _say_rows(side: str, ids: Sequence[str], settings: EncodingSettings) -> str:
    name = f"max_{side}_tokens"
    limit = getattr(settings, name)
    return f": no token of the {side} is left beside EOS (encoding.{name} = {limit}): rows {', '.join(ids[:NAMED])}."
