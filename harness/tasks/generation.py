"""Language generation: a prompt is written on, a chat is answered, a text is continued."""

from __future__ import annotations

from typing import ClassVar

from harness.data.columns import Cells, EmptyCell
from harness.data.messages import MESSAGES, read_chat
from harness.data.newsroom import Event, write_record, write_summary
from harness.data.rows import Row
from harness.tasks.task import Task


class Generation(Task):
    """Prompts and what follows them.

    A record may hold a prompt and its completion, a chat (``messages``), or a text alone, of which the first half of
    the words is the prompt and the rest the target. What is joined to what is written in the rows: a prompt of its
    own ends with a line break, and a continued text goes on where it was cut.
    """

    name = "generation"
    separator = ""
    metrics = ("perplexity", "distinct", "rouge")
    headline = "perplexity"
    forms: ClassVar = {"causal": "causal", "encoder-decoder": "encoder-decoder"}
    input_columns = ("input", "prompt", "instruction", "question", "text")
    target_columns = ("target", "completion", "response", "output", "answer", "text")

    def read(self, cells: Cells) -> Row:
        """The row of a record."""
        if MESSAGES in cells.record:
            return read_chat(cells)
        source, target = cells.column("input"), cells.column("target")
        if source == target:
            prompt, target = split_text(cells.text(source))
            if not target.strip():
                raise EmptyCell(source, "holds one word, which cannot be cut into a prompt and a target")
            return Row(id=cells.id, input=prompt, target=target)
        references = cells.texts(target)
        return Row(id=cells.id, input=end_line(cells.text(source)), target=references[0], references=references)

    def tell(self, event: Event) -> Row:
        """The facts of an event, and its summary."""
        return Row(id=event.key, input=end_line(write_record(event)), target=write_summary(event).text)

    def write_prompt(self, row: Row, prefix: str) -> str:
        """The prompt; of a chat all that was said so far, a line each."""
        said = "".join(end_line(text) for _, text in row.turns) or row.input
        return prefix + said


def end_line(text: str) -> str:
    """A text that ends with white space: its own, or a line break."""
    return text if text[-1:].isspace() else f"{text}\n"


def split_text(text: str) -> tuple[str, str]:
    """A text cut behind the first half of its words; the two parts joined are the text."""
    words = text.split()
    place = 0
    for word in words[: (len(words) + 1) // 2]:
        place = text.index(word, place) + len(word)
    return text[:place], text[place:]


GENERATION = Generation()
