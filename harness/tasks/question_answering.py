"""Question answering: the span of a passage that answers a question, or the knowledge that there is none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from harness.data.answers import read_answers
from harness.data.columns import Cells
from harness.data.newsroom import Event, write_question
from harness.data.rows import Row, Span
from harness.tasks.task import Task

NO_ANSWER_TEXT = "no answer"
"""What a text-to-text model writes where the passage has no answer: it cannot learn to write nothing."""


class QuestionAnswering(Task):
    """Questions about passages, with every place of the passage that answers them.

    A text-to-text model is asked as T5 was: "question: ... context: ..." (Raffel et al. 2020, appendix D.15). Where
    there is no answer it learns to write "no answer"; that is taken for no answer when its outputs are scored, so a
    passage whose answer is these very words cannot be told from one without.
    """

    name = "question-answering"
    metrics = ("answers",)
    headline = "f1"
    forms: ClassVar = {"encoder": "span-head", "encoder-decoder": "encoder-decoder", "causal": "causal"}
    input_columns = ("question", "query", "input")
    context_columns = ("context", "passage", "document", "paragraph", "text")
    target_columns = ("answers", "answer", "target")

    def read(self, cells: Cells) -> Row:
        """The row of a record in SQuAD's layout, or with an answer or a list of answers in a column."""
        question, context = (cells.text(cells.column(role)) for role in ("input", "context"))
        return make_row(cells.id, question, context, read_answers(cells, context))

    def write(self, row: Row) -> dict[str, Any]:
        """The record that `read` makes this row of, in SQuAD's layout."""
        texts = list(row.references) if row.spans else []
        answers = {"text": texts, "answer_start": [start for start, _ in row.spans]}
        return {"id": row.id, "question": row.input, "context": row.context, "answers": answers}

    def tell(self, event: Event) -> Row:
        """A question about a news item; one in six has no answer there."""
        question = write_question(event)
        return make_row(event.key, question.text, question.document.text, question.spans)

    def write_prompt(self, row: Row, prefix: str) -> str:
        """What a text-to-text model is asked; the question comes first, so that only the passage is ever cut."""
        return f"{prefix}question: {row.input} context: {row.context}"

    def write_target(self, row: Row) -> str:
        """The first answer, or the words for none."""
        return row.target or NO_ANSWER_TEXT

    def read_output(self, text: str) -> str:
        """What was written, or nothing where it says that there is no answer."""
        return "" if text.strip().casefold() == NO_ANSWER_TEXT else text


def make_row(key: str, question: str, context: str, spans: Sequence[Span]) -> Row:
    """The row of a question; without spans it has no answer, and its only reference is empty."""
    references = tuple(context[start:end] for start, end in spans) or ("",)
    return Row(id=key, input=question, target=references[0], references=references, context=context, spans=tuple(spans))


QUESTION_ANSWERING = QuestionAnswering()
