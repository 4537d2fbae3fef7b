"""What tasks that are fine alone can do to each other: one prompt for two answers, or the texts of another's exam."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, permutations
from typing import TYPE_CHECKING

from harness.data.known_labels import say_labels
from harness.data.rows import NAMED, Row
from harness.errors import DataError, OverlapError, SettingsError

if TYPE_CHECKING:
    from harness.strategies.curriculum import Subject

PROBE = Row(id="probe", input="…", target="", context="…")
"""A row with nothing to read: what a task's prompt is made of beside its rows."""


def require_no_clash(subjects: Sequence[Subject]) -> None:
    """Make sure that one model can learn all of the tasks, and that their scores will mean something.

    Raises:
        SettingsError: a task is to be learned by a method of its own, or two tasks would be asked in the same words.
        DataError: two tasks want other targets of the same prompt.
        OverlapError: a task trains on texts that another one evaluates on.
    """
    for subject in subjects:
        _require_plain(subject)
    for one, other in combinations(subjects, 2):
        _require_told_apart(one, other)
    for one, other in permutations(subjects, 2):
        _require_own_texts(one, other)


def _require_plain(subject: Subject) -> None:
    experiment = subject.experiment
    for name, plain in (("method", "full"), ("repeats", 1)):
        if (value := getattr(experiment, name)) != plain:
            raise SettingsError(
                f"The task {subject.name} has {name} = {value}.",
                why="How several tasks are learned, and how often, is said once for all of them.",
                fix=f"Leave {name} out of the task"
                + (
                    "; an adapter for each task is the strategy adapters." if name == "method" else ", and set repeats."
                ),
            )


def _require_told_apart(one: Subject, other: Subject) -> None:
    """Where a model writes text, nothing but the prompt says which task is meant."""
    from harness.forms.writing import Writing  # noqa: PLC0415 - needs transformers, and a typo should not wait for it

    first, second = one.ready.form, other.ready.form
    if not (isinstance(first, Writing) and isinstance(second, Writing)):
        return
    frames = [form.task.write_prompt(PROBE, form.prefix) for form in (first, second)]
    if frames[0] != frames[1]:
        return
    labels = [
        subject.experiment.data.scale or subject.ready.form.task.name_labels(subject.splits.train)
        for subject in (one, other)
    ]
    if first.task.name != second.task.name or set(labels[0]) != set(labels[1]):
        wanted = [f"labels {say_labels(names)}" if names else "texts" for names in labels]
        raise SettingsError(
            f'{one.name} and {other.name} are asked in the same words, "{frames[0]}", and want other answers: '
            f"{wanted[0]}; {wanted[1]}.",
            why="The model writes text, so nothing but its prompt says which task is meant.",
            fix="Give each task an encoding.prefix of its own.",
        )
    _require_one_answer(one, other, first.prefix)


def _require_one_answer(one: Subject, other: Subject, prefix: str) -> None:
    known = {one.ready.form.task.write_prompt(row, prefix): row for row in (*one.splits.train, *one.splits.eval)}
    pairs = [
        (known[prompt], row)
        for row in (*other.splits.train, *other.splits.eval)
        if (prompt := other.ready.form.task.write_prompt(row, prefix)) in known and known[prompt].target != row.target
    ]
    if pairs:
        named = ", ".join(f"{first.id} and {second.id}" for first, second in pairs[:NAMED])
        raise DataError(
            f"{len(pairs)} prompts of {other.name} are also those of {one.name}, with another target: {named}.",
            why="The model cannot know which task is meant.",
            fix="Give each task an encoding.prefix of its own, or take these rows out.",
        )


def _require_own_texts(one: Subject, other: Subject) -> None:
    trained = {read_text(row): row for row in one.splits.train}
    pairs = [(trained[read_text(row)], row) for row in other.splits.eval if read_text(row) in trained]
    if pairs:
        named = ", ".join(f"{first.id} = {second.id}" for first, second in pairs[:NAMED])
        raise OverlapError(
            f"{len(pairs)} of the {len(other.splits.eval)} texts that {other.name} evaluates on are training texts of "
            f"{one.name}: {named}.",
            why="The model would know what they tell before it is asked, so the scores would show memory, not skill.",
            fix="Split what they have in common alike (the same data.seed, train_rows and eval_rows; where the first "
            "row of a label was moved, name the labels in data.scale), or give each rows of its own (another data.seed "
            "of the newsroom, another file).",
        )


def read_text(row: Row) -> str:
    """Names what is read of a row, equal for copies that differ in case, spacing or punctuation: passage, or input."""
    return row.passage or row.normalised_hash
