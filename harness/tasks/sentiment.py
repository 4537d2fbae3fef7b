"""Sentiment: how a text feels about something, on a scale from low to high."""

from __future__ import annotations

from collections.abc import Sequence

from harness.data.known_labels import say_labels
from harness.data.newsroom import MOOD_NAMES, Event, write_comment
from harness.data.rows import Row
from harness.data.scales import order_labels
from harness.errors import DataError
from harness.tasks.labelled import Labelled


class Sentiment(Labelled):
    """Texts and their places on a scale: a label's id is its rank, so that a miss by one is a small miss."""

    name = "sentiment"
    prefix = "sentiment: "
    metrics = ("grades",)
    headline = "macro_f1"
    target_columns = ("sentiment", "label", "polarity", "stars", "rating", "score", "mood", "target")

    def tell(self, event: Event) -> Row:
        """A short news item and how its witness took it."""
        return Row(id=event.key, input=write_comment(event).text, target=MOOD_NAMES[event.mood])

    def name_labels(self, rows: Sequence[Row]) -> tuple[str, ...]:
        """The labels from low to high: numbers by size, or a scale that is known by its names.

        Raises:
            DataError: the order of the labels is not known.
        """
        labels = super().name_labels(rows)
        order = order_labels(labels)
        if order is None:
            raise DataError(
                f"The order of the labels is not known: {say_labels(labels)}.",
                why="On a scale it matters how far a miss is off.",
                fix='Name them from low to high in data.scale, or set task = "classification".',
            )
        return order


SENTIMENT = Sentiment()
