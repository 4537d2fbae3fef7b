"""Which solved training rows stand before a question, and how the prompt is written.

Source: Brown et al. 2020, "Language Models are Few-Shot Learners" (drawn at random); Liu et al. 2022, "What Makes Good
In-Context Examples for GPT-3?" (similar ones).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from harness.config import PromptSettings
from harness.data.rows import Row, normalise
from harness.forms.writing import Count
from harness.tasks.task import Task

GAP = "\n\n"
"""Between two demonstrations."""


@dataclass(frozen=True, kw_only=True)
class Asker:
    """Writes prompts with demonstrations; the prompt of a row depends on no other row that is asked.

    Args:
        task: writes a prompt where the settings have no template.
        prefix: stands before each input then.
        settings: template, shots, choice and order.
        seed: draws the demonstrations.
        pool: the training rows.
        budget: the most tokens of a prompt.
    """

    task: Task
    prefix: str
    settings: PromptSettings
    seed: int
    pool: Sequence[Row]
    budget: int

    def __call__(self, rows: Sequence[Row], count: Count) -> list[str]:
        """The prompt of each row."""
        return [self.write(row, shown) for row, shown in zip(rows, self.choose(rows, count), strict=True)]

    def choose(self, rows: Sequence[Row], count: Count) -> list[list[Row]]:
        """The demonstrations of each row, the best first: as many as its budget has room for.

        The question itself is never shortened here; alone it may be longer than the budget.
        """
        choose: Callable[[Row], list[Row]] = {"random": self._draw, "similar": self._find_similar}[self.settings.choose]
        chosen = [choose(row) for row in rows]
        open_rows = [place for place, shown in enumerate(chosen) if shown]
        while open_rows:
            prompts = [self.write(rows[place], chosen[place]) for place in open_rows]
            sizes = count([rows[place] for place in open_rows], prompts)
            long = [place for place, size in zip(open_rows, sizes, strict=True) if size > self.budget]
            for place in long:
                chosen[place].pop()
            open_rows = [place for place in long if chosen[place]]
        return chosen

    def write(self, question: Row, shown: Sequence[Row]) -> str:
        """A prompt: the demonstrations as they are asked, each with its answer, then the question.

        Args:
            question: the row that is asked.
            shown: the demonstrations, the best first.
        """
        ordered = shown if self.settings.order == "best-first" else shown[::-1]
        solved = [f"{self._ask(row)}{self.task.separator}{row.target}" for row in ordered]
        return GAP.join([*solved, self._ask(question)])

    def _ask(self, row: Row) -> str:
        if self.settings.template is None:
            return self.task.write_prompt(row, self.prefix)
        said = self.task.write_prompt(row, "") if row.turns else row.input
        return self.settings.template.format(input=said, context=row.context)

    def _draw(self, question: Row) -> list[Row]:
        """As many as there should be, drawn for this question."""
        others = self._list_others(question)
        drawn = random.Random(f"{self.seed}/{question.normalised_hash}")
        return [self.pool[place] for place in drawn.sample(others, min(self.settings.shots, len(others)))]

    def _find_similar(self, question: Row) -> list[Row]:
        """Those with the highest cosine of TF-IDF vectors; of equal ones the first of the pool."""
        vectorizer, vectors = self._vectors
        similarity = (vectors @ vectorizer.transform([_say(question)]).T).toarray()[:, 0]
        others = np.array(self._list_others(question), dtype=np.int64)
        nearest = others[np.argsort(-similarity[others], kind="stable")]
        return [self.pool[place] for place in nearest[: self.settings.shots]]

    def _list_others(self, question: Row) -> list[int]:
        """The places of all rows of the pool but copies of the question, however they are spaced or spelled."""
        own = question.normalised_hash
        return [place for place, row in enumerate(self.pool) if row.normalised_hash != own]

    @cached_property
    def _vectors(self) -> tuple[Any, Any]:
        vectorizer = TfidfVectorizer(analyzer=_split_words)
        return vectorizer, vectorizer.fit_transform([_say(row) for row in self.pool])


def _say(row: Row) -> str:
    """All that a row asks."""
    return " ".join([*(text for _, text in row.turns[:-1]), row.input, row.context])


def _split_words(text: str) -> list[str]:
    return normalise(text).split() or [text]
