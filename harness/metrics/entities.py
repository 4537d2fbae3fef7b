"""Precision, recall and F1 of whole entities, by seqeval."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from seqeval.scheme import IOB2, Entities

from harness.data.rows import Row
from harness.errors import DataError
from harness.metrics.metric import Metric, Output, Table
from harness.statistics.jackknife import SHARES, share_of_sums

Floats = NDArray[np.float64]
Found = set[tuple[int, str, int, int]]
TAG = re.compile(r"O|[BI]-\S+")


@dataclass(frozen=True)
class EntityScores(Metric):
    """An entity counts where its type and both ends are right; scores of the set, with jackknife shares by row.

    Targets and outputs are tags of scheme IOB2 joined by blanks, one a word. Strict: an entity starts with its ``B-``,
    and an ``I-`` that continues none is no entity. The script conlleval (and seqeval by default) takes such an ``I-``
    for the start of one, so the two differ where tags are ill-formed, and only there.

    Source: Tjong Kim Sang and De Meulder 2003, "Introduction to the CoNLL-2003 Shared Task"; Nakayama 2018, seqeval.
    """

    @property
    def signatures(self) -> dict[str, str]:
        """Each score's name and its signature."""
        version = importlib.metadata.version("seqeval")
        names = ("entity_f1", "entity_precision", "entity_recall")
        return {name: f"{name}|micro|mode:strict|scheme:IOB2|{SHARES}|seqeval:{version}" for name in names}

    def score(self, outputs: Sequence[Output], rows: Sequence[Row]) -> dict[str, Floats]:
        """Score each output against its row's target: arrays of shape (rows,), float64, in percent points.

        Raises:
            DataError: an output has another number of tags than its target, or something is no tag.
        """
        counts = np.array(
            [
                (len(said & meant), len(said), len(meant))
                for said, meant in zip(*find_entities(outputs, rows), strict=True)
            ],
            dtype=np.float64,
        )
        return {
            "entity_f1": share_of_sums(counts, lambda sums: precision_recall_f1(sums)[2]),
            "entity_precision": share_of_sums(counts, lambda sums: precision_recall_f1(sums)[0]),
            "entity_recall": share_of_sums(counts, lambda sums: precision_recall_f1(sums)[1]),
        }

    def tables(self, outputs: Sequence[Output], rows: Sequence[Row]) -> tuple[Table, ...]:
        """Precision, recall and F1 of each type, and how often it was meant."""
        said, meant = (Found().union(*found) for found in find_entities(outputs, rows))
        lines: list[tuple[str | float, ...]] = []
        for kind in sorted({entity[1] for entity in said | meant}):
            ours, theirs = ({entity for entity in found if entity[1] == kind} for found in (said, meant))
            sums = np.array([[len(ours & theirs), len(ours), len(theirs)]], dtype=np.float64)
            lines.append((kind, *(float(score[0]) for score in precision_recall_f1(sums)), len(theirs)))
        columns = ("type", "precision", "recall", "F1", "support")
        return (Table(title="Scores by type of entity", columns=columns, rows=tuple(lines)),)


def find_entities(outputs: Sequence[Output], rows: Sequence[Row]) -> tuple[list[Found], list[Found]]:
    """For each row the entities of the output and of the target, as (row, type, start, end) in words.

    Raises:
        DataError: an output has another number of tags than its target, or something is no tag.
    """
    said, meant = [], []
    for output, row in zip(outputs, rows, strict=True):
        ours, theirs = output.text.split(), row.target.split()
        _require_tags(ours, "output", row)
        _require_tags(theirs, "target", row)
        if len(ours) != len(theirs):
            raise DataError(
                f'Row "{row.id}": the output has {len(ours)} tags, the target {len(theirs)}.',
                why="Entities are compared by the place of their words.",
                fix="Give one tag a word; what a model writes has to be brought to the row's number of words first.",
            )
        said.append(ours)
        meant.append(theirs)
    return _extract(said), _extract(meant)


def precision_recall_f1(sums: Floats) -> tuple[Floats, Floats, Floats]:
    """Precision, recall and F1 in percent points, 0 where there is nothing to divide by.

    Args:
        sums: (sets, 3) float64: entities that are right, that were said, that were meant.
    """
    right, said, meant = sums.T
    precision, recall = right / np.maximum(said, 1), right / np.maximum(meant, 1)
    together = precision + recall
    f1 = 2 * precision * recall / np.where(together > 0, together, 1)
    return 100 * precision, 100 * recall, 100 * f1


def _extract(tags: list[list[str]]) -> list[Found]:
    return [{entity.to_tuple() for entity in found} for found in Entities(tags, scheme=IOB2).entities]


def _require_tags(tags: list[str], what: str, row: Row) -> None:
    wrong = next((tag for tag in tags if not TAG.fullmatch(tag)), None)
    if wrong is not None:
        raise DataError(
            f'Row "{row.id}": "{wrong}" in the {what} is no tag.',
            fix="Tags are O, B-TYPE and I-TYPE, joined by blanks.",
        )


ENTITIES = EntityScores()
