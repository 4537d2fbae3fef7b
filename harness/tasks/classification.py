"""Classification: a text is of one class out of a few."""

from __future__ import annotations

from harness.data.newsroom import Event, write_document
from harness.data.rows import Row
from harness.tasks.labelled import Labelled


class Classification(Labelled):
    """Texts and the names of their classes."""

    name = "classification"
    prefix = "classify: "
    metrics = ("classes",)
    headline = "macro_f1"

    def tell(self, event: Event) -> Row:
        """A news item and its topic."""
        return Row(id=event.key, input=write_document(event).text, target=event.kind.topic)


CLASSIFICATION = Classification()
