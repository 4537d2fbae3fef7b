"""Prompting: the model is asked in another way and no weight changes, or a soft prompt is trained and nothing else."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace

from transformers import PreTrainedModel

from harness.config import TrainingSettings
from harness.data.rows import Row
from harness.errors import SettingsError
from harness.forms import Form
from harness.forms.writing import Writing
from harness.methods.demonstrations import Asker
from harness.methods.method import Adapted, Course, require_writing
from harness.methods.parameter_efficient import finish
from harness.methods.soft_prompts import tune_soft_prompt

TRIED = 100
"""So many training rows are asked to see what becomes of the prompts."""


def tune(model: PreTrainedModel, course: Course, settings: TrainingSettings) -> Adapted:
    """Ask the model by the experiment's prompt.

    Args:
        model: an encoder-decoder or a causal model; it is not changed.
        course: the rows that demonstrations are taken from, or what a soft prompt learns.
        settings: for a soft prompt.

    Raises:
        ModelError: the model has a head and reads no prompt.
        SettingsError: the prompt cannot be written for these rows.
    """
    prompt = course.form.experiment.prompt
    form = ask_by_prompt(course.form, course.rows)
    if prompt.variant == "text":
        facts = _look_at_prompts(form, course)
        return Adapted(model=model, losses=(), trainable_parameters=0, form=form, keeps_weights=True, facts=facts)
    return finish(tune_soft_prompt(model, course, settings, prompt), form=form)


def require_fit(course: Course) -> None:
    """Make sure that the model can be prompted, and that the prompts can be written.

    Raises:
        ModelError: the model has a head and reads no prompt.
        SettingsError: the prompt cannot be written for these rows.
    """
    form = ask_by_prompt(course.form, course.rows)
    if form.ask is None and form.experiment.training.sharding == "full":
        raise SettingsError(
            'training.sharding is "full", and a soft prompt is trained.',
            why="FSDP cannot divide embeddings that two modules of PEFT hold; the prompt itself is small.",
            fix='Set training.sharding = "none".',
        )
    if form.ask is not None:
        _look_at_prompts(form, course)


def ask_by_prompt(form: Form, rows: Sequence[Row]) -> Writing:
    """The form that asks by the experiment's prompt; rows are encoded as before but for that.

    Args:
        form: how the task is put to the model without.
        rows: the training rows.

    Raises:
        ModelError: the model has a head and reads no prompt.
        SettingsError: the prompt cannot be written for these rows.
    """
    experiment, task = form.experiment, form.task
    prompt = experiment.prompt
    writing = require_writing(form, "be prompted")
    labels = () if prompt.answer == "written" else experiment.data.scale or task.name_labels(rows)
    if prompt.variant != "text":
        return replace(writing, labels=labels)
    _require_writable(writing, rows)
    asker = Asker(
        task=task,
        prefix=writing.prefix,
        settings=prompt,
        seed=experiment.training.seed,
        pool=tuple(rows),
        budget=prompt.max_prompt_tokens or experiment.encoding.max_input_tokens,
    )
    return replace(writing, ask=asker, labels=labels)


def _require_writable(form: Writing, rows: Sequence[Row]) -> None:
    prompt = form.experiment.prompt
    if prompt.shots > len(rows):
        raise SettingsError(
            f"prompt.shots is {prompt.shots}, and there are {len(rows)} training rows to show.",
            fix="Lower prompt.shots, or raise data.train_rows.",
        )
    if "{context}" in (prompt.template or "") and not any(row.context for row in rows):
        raise SettingsError(
            f'prompt.template has a place for {{context}}, and no row of the task "{form.task.name}" has one.',
            fix="Leave it out.",
        )
    if form.experiment.encoding.chat and any(row.turns for row in rows) and (prompt.shots or prompt.template):
        raise SettingsError(
            "The rows are chats, encoding.chat is true, and prompt.shots or prompt.template is set.",
            why="A template of a chat takes its turns as they are.",
            fix="Set encoding.chat = false; a chat is then asked as one text.",
        )


def _look_at_prompts(form: Writing, course: Course) -> dict[str, float]:
    """How many demonstrations and tokens the prompts have, by asking some of the training rows.

    Raises:
        SettingsError: no prompt has room for a demonstration.
    """
    rows, asker, shots = course.rows[:TRIED], form.ask, form.experiment.prompt.shots
    assert isinstance(asker, Asker)  # noqa: S101 - it was put there above

    def count(asked: Sequence[Row], prompts: Sequence[str]) -> list[int]:
        return [len(ids) for ids in form.read(asked, prompts, course.tokenizer)]

    shown = asker.choose(rows, count)
    sizes = count(rows, [asker.write(row, chosen) for row, chosen in zip(rows, shown, strict=True)])
    if shots and not any(shown):
        raise SettingsError(
            f"None of {len(rows)} prompts has room for a demonstration: the questions alone take "
            f"{min(sizes)} to {max(sizes)} of {asker.budget} tokens.",
            why="Few-shot would be zero-shot.",
            fix="Raise prompt.max_prompt_tokens and encoding.max_input_tokens, or set prompt.shots = 0.",
        )
    return {
        "demonstrations a prompt": round(statistics.fmean(map(len, shown)), 2),
        "tokens a prompt": round(statistics.fmean(sizes), 1),
    }
