"""An encoder tags words: a head scores the tags at each word's first piece, and a field or a softmax chooses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import DataCollatorForTokenClassification

from harness.data.bio import OUTSIDE, read_entities
from harness.data.rows import Row
from harness.device import at_work
from harness.errors import DataError, SettingsError
from harness.forms.form import Form
from harness.forms.words import Pieces, read_words_as_text, split_words
from harness.generation.batching import sorted_batches
from harness.generation.engine import Resolved
from harness.metrics.metric import Output
from harness.models.head import Head
from harness.models.loading import LoadedModel, load_model
from harness.tasks.labels import LabelReport
from harness.tasks.tag_labels import check_tags
from harness.tasks.task import IGNORE_INDEX, Collator, EncodedRow

AUTO_CLASSES = {"crf": "AutoCrfTagger", "softmax": "AutoModelForTokenClassification"}
"""What loads the model, for each decoder of the settings."""
DECODERS: dict[str, Resolved] = {"crf": {"decoder": "viterbi"}, "softmax": {"decoder": "argmax"}}
"""How each chooses the tags."""


class TokenHead(Form):
    """The loss is the negative log-likelihood of a row's tags, in nats per word.

    With ``head.decoder = "crf"`` it is that of the whole sequence, and no ill-formed one is ever the output. With
    ``"softmax"`` each word has its own, and its best tag is the output as it stands: an ``I-`` that goes on with
    nothing is not repaired, and the strict metric counts it as no entity. A word without a piece (it is cut off, or the
    tokenizer drops it) is learned by nobody, and its output is ``O``.
    """

    def load(self, rows: Sequence[Row]) -> LoadedModel:
        """Load the experiment's model with a head for the tags of the training rows.

        Raises:
            DataError: they name no entity.
            ModelError: the model cannot tag words.
            SettingsError: rows may be longer than the model reads.
        """
        settings = self.experiment.head
        head = Head(labels=self.task.name_labels(rows), seed=settings.seed)
        loaded = load_model(self.experiment.model, auto_class=AUTO_CLASSES[settings.decoder], head=head)
        read_words_as_text(loaded.tokenizer, loaded.name)
        places = getattr(loaded.model.config, "max_position_embeddings", None) or self.limit
        places = min(places, loaded.tokenizer.model_max_length)
        if self.limit > places:
            raise SettingsError(
                f'encoding.max_input_tokens is {self.limit}, and "{loaded.name}" reads {places} tokens.',
                why="It has no place for what is behind them.",
                fix=f"Set encoding.max_input_tokens = {places}, or lower.",
            )
        return loaded

    @property
    def limit(self) -> int:
        """How many pieces of a row are read."""
        return self.experiment.encoding.max_input_tokens

    @property
    def encoding(self) -> dict[str, int | str]:
        """The settings that decide how a row is encoded."""
        return {"max_input_tokens": self.limit}

    def encode(self, rows: Sequence[Row], loaded: LoadedModel) -> list[EncodedRow]:
        """Turn words into pieces; the first piece of each word has the id of its tag, all else -100.

        Raises:
            DataError: a row has a tag that the head has not, or no word of it leaves a piece.
        """
        ids = {name: index for index, name in enumerate(name_tags(loaded))}
        split = split_words(loaded.tokenizer, [row.input.split(" ") for row in rows], self.limit)
        unread = [row.id for row, pieces in zip(rows, split, strict=True) if not pieces.begins]
        if unread:
            raise DataError(
                f'{len(unread)} of {len(rows)} rows have nothing to read: no word leaves a piece, first "{unread[0]}".',
                why="There is nothing to tag.",
                fix=f"Drop these rows, or raise encoding.max_input_tokens ({self.limit}).",
            )
        return [_encode_row(row, pieces, ids) for row, pieces in zip(rows, split, strict=True)]

    def make_collator(self, loaded: LoadedModel) -> Collator:
        """Pad to the longest row of the batch; labels get -100.

        The collator returns ``input_ids``, ``attention_mask`` and ``labels`` (batch, length), all int64.
        """
        collator: Collator = DataCollatorForTokenClassification(loaded.tokenizer, label_pad_token_id=IGNORE_INDEX)
        return collator

    def audit(
        self, rows: Sequence[Row], encoded: Sequence[EncodedRow], loaded: LoadedModel, collator: Collator
    ) -> LabelReport:
        """Make sure that each word's first piece has the word's tag, and nothing else a label."""
        size, names = self.experiment.training.batch_size, name_tags(loaded)
        supervised = masked = 0
        for start in range(0, len(rows), size):
            part = slice(start, start + size)
            batch = collator([dict(row.features[0]) for row in encoded[part]])
            check_tags(batch, rows[part], names, loaded.tokenizer)
            labelled = int((batch["labels"] != IGNORE_INDEX).sum())
            supervised += labelled
            masked += batch["labels"].numel() - labelled
        words = sum(len(row.target.split()) for row in rows)
        entities = [kind for row in rows for _, _, kind in read_entities(row.target.split())]
        lost = f"; {words - supervised:,} words have no piece" * (supervised < words)
        return LabelReport(
            summary=f"{supervised:,} words have their tag at their first piece, {len(entities):,} entities of the "
            f"types {', '.join(sorted(set(entities)))}{lost}",
            rows=len(rows),
            supervised_tokens=supervised,
            masked_tokens=masked,
            targets_cut=0,
            inputs_cut=sum(row.input_cut for row in encoded),
        )

    def name_parts(self, predict: Callable[..., list[str]]) -> dict[str, Callable[..., Any]]:
        """Outputs are tags, as lists."""
        return {"tag": lambda model, records: [text.split() for text in predict(model, records)]}

    def resolve(self, loaded: LoadedModel) -> Resolved:
        """How tags are chosen: ``viterbi``, the best sequence, or ``argmax``, the best tag of each word."""
        return DECODERS[self.experiment.head.decoder]

    def predict(
        self, loaded: LoadedModel, rows: Sequence[Row], encoded: Sequence[EncodedRow], settings: Resolved
    ) -> list[Output]:
        """The tags of each row's words, joined by blanks."""
        model, names, collator = loaded.model, name_tags(loaded), self.make_collator(loaded)
        tags = [[OUTSIDE] * len(row.target.split()) for row in rows]
        with at_work(model):
            for indices in sorted_batches([len(row.input_ids) for row in encoded], self.batch_size):
                batch = collator([dict(encoded[index].features[0]) for index in indices])
                mask = (batch.pop("labels") != IGNORE_INDEX).to(model.device)
                logits = model(**{name: values.to(model.device) for name, values in batch.items()}).logits
                decode = model.crf.decode if settings["decoder"] == "viterbi" else choose_best
                for index, ids in zip(indices, decode(logits, mask), strict=True):
                    for word, tag in zip(encoded[index].words, ids, strict=True):
                        tags[index][word] = names[tag]
        return [Output(text=" ".join(row)) for row in tags]

    @property
    def batch_size(self) -> int:
        """Rows in a batch of evaluation."""
        return self.experiment.generation.batch_size


def name_tags(loaded: LoadedModel) -> list[str]:
    """The tags of the model's head in the order of their ids."""
    config = loaded.model.config
    return [config.id2label[index] for index in range(config.num_labels)]


def choose_best(logits: torch.Tensor, mask: torch.Tensor) -> list[list[int]]:
    """The best tag at each place that the mask selects.

    Args:
        logits: (batch, length, tags) float.
        mask: (batch, length) bool.

    Returns:
        One list a row, with an id for each true entry of its mask.
    """
    return [row[selected].argmax(-1).tolist() for row, selected in zip(logits, mask, strict=True)]


def _encode_row(row: Row, pieces: Pieces, ids: dict[str, int]) -> EncodedRow:
    labels, tags = [IGNORE_INDEX] * len(pieces.ids), row.target.split()
    unknown = sorted(set(tags) - ids.keys())
    if unknown:
        raise DataError(
            f'Row "{row.id}" has the tag {unknown[0]}; the model knows {", ".join(ids)}.',
            why="Tags are those of the training rows: what they never show cannot be learned or found.",
            fix="Raise data.train_rows so that each type occurs, or leave out the rows of this type.",
        )
    for word, place in pieces.begins.items():
        labels[place] = ids[tags[word]]
    features = {"input_ids": pieces.ids, "attention_mask": [1] * len(pieces.ids), "labels": labels}
    return EncodedRow(
        id=row.id, input_ids=pieces.ids, features=(features,), input_cut=pieces.cut, words=tuple(pieces.begins)
    )
