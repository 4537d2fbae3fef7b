"""Translation: the same in another language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from harness.data.columns import Cells
from harness.data.newsroom import Event, write_summary
from harness.data.rows import Row
from harness.tasks.task import Task

PAIR = "translation"
"""The column in which data sets of the hub keep both languages: {"en": "...", "de": "..."}."""


class Translation(Task):
    """Texts and their translations, English to German unless columns, prefix or languages are set otherwise."""

    name = "translation"
    prefix = "translate English to German: "
    metrics = ("bleu",)
    headline = "bleu"
    forms: ClassVar = {"encoder-decoder": "encoder-decoder", "causal": "causal"}
    input_columns = ("input", "source", "src", "en", "eng", "english")
    target_columns = ("target", PAIR, "reference", "tgt", "de", "deu", "german")

    def read(self, cells: Cells) -> Row:
        """The row of a record; the languages of a pair count as columns."""
        pair = cells.record.get(PAIR)
        if isinstance(pair, Mapping):
            rest = {name: value for name, value in cells.record.items() if name != PAIR}
            cells = replace(cells, record={**rest, **pair})
        return super().read(cells)

    def tell(self, event: Event) -> Row:
        """The summary of an event in English, and in German."""
        return Row(id=event.key, input=write_summary(event).text, target=write_summary(event, "de").text)


TRANSLATION = Translation()
