"""A text has one label: an encoder reads it, and a head on its first token scores the labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import DataCollatorWithPadding

from harness.data.known_labels import require_known
from harness.data.rows import NAMED, Row
from harness.device import at_work
from harness.errors import DataError
from harness.forms.form import Form
from harness.forms.writing import cut
from harness.generation.batching import sorted_batches
from harness.generation.engine import Resolved
from harness.lesson import Loss
from harness.metrics.metric import Output
from harness.models.head import Head
from harness.models.loading import LoadedModel, load_model
from harness.models.positions import require_positions
from harness.tasks.class_labels import check_classes, check_names, check_padding
from harness.tasks.labels import LabelReport
from harness.tasks.task import Collator, EncodedRow, flatten


class SequenceHead(Form):
    """The loss is the cross-entropy of each row's label, averaged over the rows of a batch."""

    smooths = True

    def load(self, rows: Sequence[Row]) -> LoadedModel:
        """Load the model with a head for the labels; a head that it has for these very labels is kept as it is.

        Raises:
            ModelError: there is no such model, or it cannot have such a head.
            DataError: the order of the labels is not known.
        """
        labels = self.experiment.data.scale or self.task.name_labels(rows)
        head = Head(labels=labels, seed=self.experiment.head.seed)
        loaded = load_model(self.experiment.model, auto_class="AutoModelForSequenceClassification", head=head)
        # On the left, padding would move a text to other positions, and its output would depend on the batch.
        loaded.tokenizer.padding_side = "right"
        return loaded

    def encode(self, rows: Sequence[Row], loaded: LoadedModel) -> list[EncodedRow]:
        """Turn texts into token ids, cut to the limit, and labels into their ids in the model's config.

        Raises:
            DataError: a row's label is not one of the model's, or no token of its text is left.
            ModelError: a row is longer than the model can read.
        """
        limit, tokenizer, ids_of = self.experiment.encoding.max_input_tokens, loaded.tokenizer, _ids(loaded)
        require_known(rows, tuple(ids_of), self.task)
        # A text that happens to hold "[SEP]" is text.
        texts = tokenizer([row.input for row in rows], split_special_tokens=True)["input_ids"]
        encoded = []
        for row, text in zip(rows, texts, strict=True):
            ids = cut(text, limit)
            features = {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": ids_of[row.target]}
            encoded.append(EncodedRow(id=row.id, input_ids=ids, features=(features,), input_cut=len(text) > limit))
        self._require_texts(encoded, frame=set(tokenizer("")["input_ids"]))
        require_positions(loaded.model, max(len(row.input_ids) for row in encoded), name=loaded.name)
        return encoded

    @property
    def encoding(self) -> dict[str, int | str]:
        """The one setting that decides how a text is encoded."""
        return {"max_input_tokens": self.experiment.encoding.max_input_tokens}

    def make_collator(self, loaded: LoadedModel) -> Collator:
        """Pad to the longest row of the batch.

        The collator returns ``input_ids`` and ``attention_mask`` (batch, length) and ``labels`` (batch,), all int64.
        """
        collator = DataCollatorWithPadding(loaded.tokenizer)
        return lambda features: dict(collator(features))

    def audit(
        self, rows: Sequence[Row], encoded: Sequence[EncodedRow], loaded: LoadedModel, collator: Collator
    ) -> LabelReport:
        """Make sure that name, id and the model's name agree for each row, and that the masks leave padding out."""
        config, size = loaded.model.config, self.experiment.training.batch_size
        names = {int(index): str(name) for index, name in config.id2label.items()}
        check_names(names, config.label2id, loaded.model.num_labels)
        for start in range(0, len(rows), size):
            part = slice(start, start + size)
            batch = collator(flatten(encoded[part]))
            check_classes(batch, [row.target for row in rows[part]], names)
            check_padding(batch, [row.input_ids for row in encoded[part]])
        return LabelReport(
            summary=f"{len(rows):,} labels of {len({row.target for row in rows})} classes; "
            "names and ids agree with the model's config",
            rows=len(rows),
            supervised_tokens=len(rows),
            masked_tokens=0,
            targets_cut=0,
            inputs_cut=sum(row.input_cut for row in encoded),
        )

    def make_loss(self, loaded: LoadedModel, encoded: Sequence[EncodedRow]) -> Loss:
        """Cross-entropy, with the classes weighted and the labels smoothed as the experiment wants."""
        classes, smoothing = loaded.model.num_labels, self.experiment.training.label_smoothing
        if self.experiment.head.class_weights == "balanced":
            weights = balance_classes([example["labels"] for example in flatten(encoded)], classes)
        else:
            weights = torch.ones(classes)

        def loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
            logits = outputs["logits"].float()
            nats = torch.nn.functional.cross_entropy(
                logits, labels, weight=weights.to(logits), label_smoothing=smoothing, reduction="sum"
            )
            return nats / (len(labels) if num_items_in_batch is None else num_items_in_batch)

        return loss

    def name_parts(self, predict: Callable[..., list[str]]) -> dict[str, Callable[..., Any]]:
        """Outputs are labels' names."""
        return {"classify": predict}

    def resolve(self, loaded: LoadedModel) -> Resolved:
        """The label with the highest score is said."""
        return {"decoder": "argmax"}

    def predict(
        self, loaded: LoadedModel, rows: Sequence[Row], encoded: Sequence[EncodedRow], settings: Resolved
    ) -> list[Output]:
        """The label of each row, by its name in the model's config."""
        model, collator = loaded.model, self.make_collator(loaded)
        outputs = [Output(text="")] * len(rows)
        with at_work(model):
            for indices in sorted_batches(
                [len(row.input_ids) for row in encoded], self.experiment.generation.batch_size
            ):
                batch = collator(flatten([encoded[index] for index in indices]))
                del batch["labels"]
                logits = model(**{name: values.to(model.device) for name, values in batch.items()}).logits
                for index, best in zip(indices, logits.argmax(-1).tolist(), strict=True):
                    outputs[index] = Output(text=model.config.id2label[best])
        return outputs

    def _require_texts(self, encoded: Sequence[EncodedRow], *, frame: set[int]) -> None:
        unread = [row.id for row in encoded if set(row.input_ids) <= frame]
        if unread:
            raise DataError(
                f"{len(unread)} of {len(encoded)} rows have nothing to read: no token of the text is left "
                f"(encoding.max_input_tokens = {self.experiment.encoding.max_input_tokens}): "
                f"rows {', '.join(unread[:NAMED])}.",
                fix="Raise encoding.max_input_tokens, or drop these rows.",
            )


def balance_classes(labels: Sequence[int], classes: int) -> torch.Tensor:
    """The weight of each class: rows / (classes * rows of the class), so that all classes weigh the same in sum.

    Only classes that occur count; the others weigh nothing.

    Args:
        labels: the class of each training row.
        classes: how many there are.

    Returns:
        (classes,) float32; its mean over the rows is 1.

    Source: scikit-learn's ``compute_class_weight("balanced")``, after King and Zeng 2001, "Logistic Regression in Rare
    Events Data".
    """
    counts = Counter(labels)
    return torch.tensor(
        [len(labels) / (len(counts) * counts[label]) if counts[label] else 0.0 for label in range(classes)]
    )


def _ids(loaded: LoadedModel) -> dict[str, int]:
    return {name: int(index) for name, index in loaded.model.config.label2id.items()}
