"""Which method fits which task and embedded model: a table for the documents.

``python -m harness.report.fitting docs/methods/README.md`` puts it between the marks of the page. Nothing is trained:
each combination goes as far as a run goes before it scores its base.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from harness.atomic import write_whole
from harness.config import Experiment, load_experiment
from harness.data.source import load_splits
from harness.errors import SettingsError, UsageError
from harness.experiment import make_course
from harness.forms import EMBEDDED
from harness.methods import FITTING, METHODS
from harness.preparation import prepare
from harness.report.markdown import write_table
from harness.tasks import TASKS
from harness.tuning import Clock

BEGIN, END = "<!-- fitting -->\n", "<!-- end -->\n"
"""Between these lines a page holds the table."""
SMALL: dict[str, object] = {"data.train_rows": 16, "data.eval_rows": 8, "gate.require": None}
"""Enough rows to look at; what must hold is of no interest."""


def choose_small(task: str, model: str) -> Experiment:
    """The embedded experiment of a task, with few rows and another model."""
    return load_experiment(f"{task}-full").override({**SMALL, "model.name": model})


def find_obstacles(experiment: Experiment) -> Iterator[tuple[str, UsageError | None]]:
    """Each method, and why it does not fit the experiment's task and model; nothing where it does."""
    try:
        splits = load_splits(experiment.data, TASKS[experiment.task])
        ready = prepare(experiment, splits, audit=None, clock=Clock(), say=lambda _: None)
    except UsageError as error:
        yield from ((method, error) for method in METHODS)
        return
    course = make_course(ready.form, ready.loaded, splits.train, ready.train, ready.collator)
    for method in METHODS:
        changed = experiment.override({"method": method})
        try:
            if method in FITTING:
                FITTING[method](replace(course, form=replace(course.form, experiment=changed)))
        except UsageError as error:
            yield method, error
        else:
            yield method, None


def fill_fitting(text: str) -> str:
    """The text of a page with the table made anew."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    header = ["task", *(f"`{model}`" for model in EMBEDDED.values())]
    lines = [[task, *(_say_cell(choose_small(task, model)) for model in EMBEDDED.values())] for task in TASKS]
    return f"{before}{begin}" + "\n".join(write_table(header, lines)) + f"\n{end}{after}"


def _say_cell(experiment: Experiment) -> str:
    """The methods that fit; a star behind one that fits with another setting than its default."""
    stars = {type(None): "", SettingsError: "\\*"}
    found = [(method, stars.get(type(obstacle))) for method, obstacle in find_obstacles(experiment)]
    return ", ".join(f"{method}{star}" for method, star in found if star is not None) or "-"


def main(pages: list[str]) -> None:
    """Fill in the pages."""
    for page in map(Path, pages):
        write_whole(page, fill_fitting(page.read_text(encoding="utf-8")).encode())


if __name__ == "__main__":
    main(sys.argv[1:])
