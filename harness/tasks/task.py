"""What a task is, and what its rows become for a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from harness.data.columns import TextPairs
from harness.data.newsroom import Event
from harness.data.rows import Row

IGNORE_INDEX = -100
"""The label where no loss is taken."""

Features = dict[str, Any]
"""One training example, unpadded: names such as ``input_ids`` and ``labels`` to lists or numbers."""
Batch = dict[str, Any]
Collator = Callable[[list[Features]], Batch]


@dataclass(frozen=True, kw_only=True)
class EncodedRow:
    """One row as token ids, unpadded.

    Args:
        id: the row's id.
        input_ids: what the model reads before it answers.
        features: its training examples; one, or one for each window of a long text.
        input_cut: whether the input was longer than allowed.
        target_cut: whether the target was longer than allowed.
        words: of a row of tagged words which words have a label, in the order of the labels.
    """

    id: str
    input_ids: list[int]
    features: tuple[Features, ...]
    input_cut: bool = False
    target_cut: bool = False
    words: tuple[int, ...] = ()

    @property
    def labels(self) -> list[int]:
        """The labels of its first training example."""
        labels: list[int] = self.features[0]["labels"]
        return labels


def flatten(rows: Sequence[EncodedRow]) -> list[Features]:
    """The training examples of all rows, in their order."""
    return [example for row in rows for example in row.features]


class Task(TextPairs, ABC):
    """What is learned: how records become rows, how a row is asked, and which scores count.

    A task knows no model. How it is put to one kind of model is a *form* (`harness.forms`); ``forms`` names the form
    for each architecture, and a task without one for the model at hand cannot be run with it.
    """

    name: ClassVar[str]
    prefix: ClassVar[str] = ""
    """Put before each input of a text-to-text model, in training and evaluation alike."""
    separator: ClassVar[str] = "\n"
    """What stands between the prompt of a causal model and what it writes."""
    metrics: ClassVar[tuple[str, ...]]
    """The families of scores, the most telling first; those that do not apply to the rows are left out."""
    headline: ClassVar[str]
    """The score that a gain is asked of where the experiment asks for nothing else."""
    forms: ClassVar[Mapping[str, str]]
    """Architecture ("encoder-decoder", "causal", "encoder") to the name of the form."""

    @abstractmethod
    def tell(self, event: Event) -> Row:
        """The row of an event of the newsroom."""

    def write_prompt(self, row: Row, prefix: str) -> str:
        """What a text-to-text model is asked."""
        return prefix + row.input

    def write_target(self, row: Row) -> str:
        """What a text-to-text model should write."""
        return row.target

    def read_output(self, text: str) -> str:
        """What a text that such a model wrote means: the other way round."""
        return text

    def labels_of(self, row: Row) -> tuple[str, ...]:
        """The labels that a row carries; none where targets are texts."""
        return ()

    def name_labels(self, rows: Sequence[Row]) -> tuple[str, ...]:
        """The names of all labels that the rows know of, in the order of their ids; none where targets are texts."""
        return tuple(sorted({label for row in rows for label in self.labels_of(row)}))
