"""Summarization: a short text that says what a long one says."""

from __future__ import annotations

from typing import ClassVar

from harness.data.newsroom import Event, write_document, write_summary
from harness.data.rows import Row
from harness.tasks.task import Task


class Summarization(Task):
    """Documents and their summaries."""

    name = "summarization"
    prefix = "summarize: "
    metrics = ("rouge", "facts")
    headline = "rouge1"
    forms: ClassVar = {"encoder-decoder": "encoder-decoder", "causal": "causal"}
    input_columns = ("input", "document", "text", "article", "source")
    target_columns = ("target", "summary", "reference", "highlights")

    def tell(self, event: Event) -> Row:
        """A news item and its summary."""
        return Row(id=event.key, input=write_document(event).text, target=write_summary(event).text)


SUMMARIZATION = Summarization()
