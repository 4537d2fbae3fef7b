"""A question and a passage become a span of the passage: two scores a token, one for the start and one for the end.

A long passage is read in windows with the question in front of each. Each window is a training example of its own; one
that does not wholly hold the answer points at its first token, and so do all windows of a question without an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import DataCollatorWithPadding, PreTrainedTokenizerBase

from harness.data.rows import NAMED, Row
from harness.device import at_work
from harness.errors import DataError, ModelError
from harness.forms.form import Form
from harness.generation.batching import sorted_batches
from harness.generation.engine import Resolved
from harness.metrics.metric import Output
from harness.models.head import Head
from harness.models.loading import LoadedModel, load_model
from harness.models.positions import count_positions
from harness.tasks.labels import LabelReport
from harness.tasks.spans import NO_ANSWER, best_span, find_span
from harness.tasks.task import Batch, Collator, EncodedRow, Features, flatten
from harness.tasks.windows import audit_windows

LABELS = ("start_positions", "end_positions")


class SpanHead(Form):
    """The loss is the mean cross-entropy of a window's start and end (Devlin et al. 2019, "BERT", section 4.2)."""

    def load(self, rows: Sequence[Row]) -> LoadedModel:
        """Load an encoder with two scores a token.

        Whether a question may be left without an answer stands in the model's config as ``null_answer``: it may, if one
        of the training rows has none.

        Raises:
            ModelError: the tokenizer cannot tell where its tokens stand in a text.
        """
        head = Head(labels=("start", "end"), seed=self.experiment.head.seed)
        loaded = load_model(self.experiment.model, auto_class="AutoModelForQuestionAnswering", head=head)
        if not loaded.tokenizer.is_fast:
            raise ModelError(
                f'The tokenizer of "{loaded.name}" cannot tell where its tokens stand in a text.',
                why="Answers are cut from the passage by the places of their tokens.",
                fix="Give a checkpoint with tokenizer.json.",
            )
        # Labels count tokens from the first one, so nothing may be put before it.
        loaded.tokenizer.padding_side = "right"
        loaded.model.config.null_answer = any(not row.spans for row in rows)
        return loaded

    @property
    def encoding(self) -> dict[str, int | str]:
        """The settings that decide how a row is encoded."""
        settings = self.experiment.encoding
        return {"max_input_tokens": settings.max_input_tokens, "stride": settings.stride}

    def encode(self, rows: Sequence[Row], loaded: LoadedModel) -> list[EncodedRow]:
        """Turn rows into windows with the question in front, each with the tokens of the first answer it wholly holds.

        Raises:
            DataError: a question leaves no room for its passage, or a passage has nothing to read.
            ModelError: the windows are longer than the model can read.
        """
        settings, tokenizer = self.experiment.encoding, loaded.tokenizer
        self._require_room(rows, tokenizer)
        windows = tokenizer(
            [row.input for row in rows],
            [row.context for row in rows],
            truncation="only_second",
            max_length=settings.max_input_tokens,
            stride=settings.stride,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            # A text that happens to hold "[SEP]" is text.
            split_special_tokens=True,
        )
        self._require_positions(max(map(len, windows["input_ids"])), loaded)
        owners = windows["overflow_to_sample_mapping"]
        encoded = [
            self._encode_row(rows[owner], windows, numbers, tokenizer.model_input_names)
            for owner, numbers in groupby(range(len(owners)), owners.__getitem__)
        ]
        unread = [row.id for row in encoded if not any(any(window["offset_mapping"]) for window in row.features)]
        if unread:
            raise DataError(
                f"{len(unread)} of {len(rows)} passages have nothing to read: rows {', '.join(unread[:NAMED])}.",
                why="The tokenizer makes no token of them.",
                fix="Drop these rows.",
            )
        return encoded

    def _encode_row(self, row: Row, windows: Any, numbers: Iterable[int], names: Sequence[str]) -> EncodedRow:
        features = []
        for number in numbers:
            offsets = [
                offset if part == 1 and row.context[slice(*offset)].strip() else None
                for offset, part in zip(windows["offset_mapping"][number], windows.sequence_ids(number), strict=True)
            ]
            first, last = find_span(offsets, row.spans)
            features.append(
                {name: windows[name][number] for name in names if name in windows}
                | {"offset_mapping": offsets, "start_positions": first, "end_positions": last}
            )
        pointing = any((window["start_positions"], window["end_positions"]) != NO_ANSWER for window in features)
        return EncodedRow(
            id=row.id,
            input_ids=features[0]["input_ids"],
            features=tuple(features),
            target_cut=bool(row.spans) and not pointing,
        )

    def _require_room(self, rows: Sequence[Row], tokenizer: PreTrainedTokenizerBase) -> None:
        """Make sure that behind each question a window shows more of the passage than the next one shows again."""
        settings = self.experiment.encoding
        special = tokenizer.num_special_tokens_to_add(pair=True)
        questions = tokenizer([row.input for row in rows], add_special_tokens=False, split_special_tokens=True)
        length, longest = max((len(ids), number) for number, ids in enumerate(questions["input_ids"]))
        room = settings.max_input_tokens - special - length
        if room <= settings.stride:
            raise DataError(
                f"Row {rows[longest].id}: its question takes {length} of the {settings.max_input_tokens} tokens of a "
                f"window (encoding.max_input_tokens) and special tokens take {special}; that leaves {max(0, room)} for "
                f"the passage, {settings.stride} of them (encoding.stride) shared with the next window.",
                why="A window that shows nothing new never comes to the end of the passage.",
                fix="Raise encoding.max_input_tokens, lower encoding.stride, or shorten the question.",
            )

    def _require_positions(self, longest: int, loaded: LoadedModel) -> None:
        places = count_positions(loaded.model)
        if places is not None and longest > places:
            raise ModelError(
                f'A window has {longest} tokens and "{loaded.name}" can read {places}.',
                fix=f"Set encoding.max_input_tokens to {places} or less.",
            )

    def make_collator(self, loaded: LoadedModel) -> Collator:
        """Pad windows to the longest of the batch; positions count from the first token, so padding moves none.

        The collator returns what the tokenizer makes, as ``input_ids`` and ``attention_mask``, (batch, length), and
        ``start_positions`` and ``end_positions`` (batch,), all int64.
        """
        pad = DataCollatorWithPadding(loaded.tokenizer)

        def collate(features: list[Features]) -> Batch:
            return dict(
                pad([{name: feature[name] for name in feature if name != "offset_mapping"} for feature in features])
            )

        return collate

    def audit(
        self, rows: Sequence[Row], encoded: Sequence[EncodedRow], loaded: LoadedModel, collator: Collator
    ) -> LabelReport:
        """Make sure that each window points at an answer exactly where it holds one."""
        size = self.experiment.training.batch_size
        return audit_windows(rows, encoded, loaded.tokenizer, collator, batch_size=size)

    def resolve(self, loaded: LoadedModel) -> Resolved:
        """How long an answer may be, and whether there may be none."""
        return {
            "max_answer_tokens": self.experiment.head.max_answer_tokens,
            "null_answer": loaded.model.config.null_answer,
        }

    def predict(
        self, loaded: LoadedModel, rows: Sequence[Row], encoded: Sequence[EncodedRow], settings: Resolved
    ) -> list[Output]:
        """The best span over all windows of each row, cut from its passage; nothing where no answer is likelier.

        No answer scores what a window's first token scores as start and end, and the lowest of a row's windows counts:
        one window that is sure to hold the answer is enough. It wins if it scores more than the best span.

        Source: Devlin et al. 2019, "BERT", section 4.3, with the threshold 0; the lowest over the windows as in their
        ``run_squad.py``.
        """
        windows = flatten(encoded)
        scores = self._score(loaded, windows)
        longest = int(settings["max_answer_tokens"])  # type: ignore[arg-type]
        outputs = []
        place = 0
        for row, one in zip(rows, encoded, strict=True):
            part = range(place, place + len(one.features))
            place = part.stop
            found = [best_span(*scores[n], windows[n]["offset_mapping"], longest=longest) for n in part]
            score, (start, end) = max(found, key=itemgetter(0))
            none = min(float(starts[0] + ends[0]) for starts, ends in (scores[n] for n in part))
            empty = bool(settings["null_answer"]) and none > score
            outputs.append(Output(text="" if empty else row.context[start:end].strip()))
        return outputs

    def _score(
        self, loaded: LoadedModel, windows: Sequence[Features]
    ) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """The start and the end score of each token of each window, in their order."""
        collator, model = self.make_collator(loaded), loaded.model
        scores = [(np.empty(0, np.float32), np.empty(0, np.float32))] * len(windows)
        lengths = [len(window["input_ids"]) for window in windows]
        with at_work(model):
            for batch in sorted_batches(lengths, self.experiment.generation.batch_size):
                inputs = collator([windows[number] for number in batch])
                output = model(
                    **{name: values.to(model.device) for name, values in inputs.items() if name not in LABELS}
                )
                starts, ends = (values.float().cpu().numpy() for values in (output.start_logits, output.end_logits))
                for row, number in enumerate(batch):
                    scores[number] = starts[row, : lengths[number]], ends[row, : lengths[number]]
        return scores
