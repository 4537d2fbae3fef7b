"""Tasks that cannot be learned by one model, or whose scores would mean nothing, are refused before anything trains."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from harness.errors import DataError, ModelError, NameUnknownError, OverlapError, SettingsError, UsageError
from harness.multitask import Multitask, load_multitask
from harness.strategies.curriculum import Curriculum, prepare_curriculum
from harness.strategies.lines import choose_line
from harness.strategies.study import run_study
from harness.tuning import Clock

SMALL = {"data.train_rows": 24, "data.eval_rows": 8, "data.seed": 42, "gate.require": None}


def make(preset: str, tasks: Sequence[str], **each: Mapping[str, object]) -> Multitask:
    """The preset with few rows of some tasks, each with changes of its own."""
    multitask = load_multitask(preset, tasks=tasks)
    changed = tuple(task.override({**SMALL, **each.get(task.name.replace("-", "_"), {})}) for task in multitask.tasks)
    return multitask.model_copy(update={"tasks": changed})


def prepare(multitask: Multitask) -> Curriculum:
    return prepare_curriculum(multitask, clock=Clock(), say=lambda _: None)


@pytest.fixture(autouse=True)
def nothing_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test fails if its error comes after training began."""

    def refuse(*_: object) -> None:
        raise AssertionError("training began")

    for place in ("strategies.sequential", "strategies.together", "methods.parameter_efficient"):
        monkeypatch.setattr(f"harness.{place}.fine_tune", refuse)


@pytest.mark.parametrize("preset", ["multitask-t5", "multitask-bert"])
def test_embedded_tasks_do_not_clash(preset: str) -> None:
    """The demonstrations themselves can be learned, with all their rows."""
    multitask = load_multitask(preset)
    assert prepare(multitask).names == tuple(task.name for task in multitask.tasks)


def test_tasks_asked_in_the_same_words_clash() -> None:
    """Texts and labels, or labels of two kinds, behind one prompt; heads tell tasks apart, so there it is no matter."""
    words = {"encoding.prefix": "go: "}
    names = ("summarization", "classification", "sentiment")
    with pytest.raises(SettingsError, match=r'same words, "go: …".* texts; labels business'):
        prepare(make("multitask-t5", names[:2], **dict.fromkeys(names, words)))
    with pytest.raises(SettingsError, match=r"classification and sentiment .* labels business.*; labels .*furious"):
        prepare(make("multitask-t5", names[1:], **dict.fromkeys(names, words)))
    prepare(make("multitask-bert", names[1:], **dict.fromkeys(names, words)))
    assert prepare(make("multitask-t5", names)).names == names


def test_one_prompt_with_two_targets_clashes(tmp_path: Path) -> None:
    """The same task twice, under two names: fine with rows of its own, refused where a prompt has another target."""
    first, second = (tmp_path / f"{name}.jsonl" for name in "ab")

    def write(path: Path, label: str) -> None:
        rows = [{"text": f"{label} news of town {n}", "label": ("good", "bad")[n % 2]} for n in range(40)]
        shared = {"text": "this one is in both", "label": "good" if label == "a" else "bad"}
        path.write_text("".join(json.dumps(row) + "\n" for row in [shared, *rows]), encoding="utf-8")

    write(first, "a")
    write(second, "b")
    multitask = make("multitask-t5", ("classification", "sentiment"))
    task = multitask.tasks[0]
    both = tuple(
        task.override({"name": path.stem, "data.source": str(path), "data.train_rows": 33, "data.eval_rows": 8})
        for path in (first, second)
    )
    with pytest.raises(DataError, match="1 prompts of b are also those of a, with another target"):
        prepare(multitask.model_copy(update={"tasks": both}))


@pytest.mark.parametrize("preset", ["multitask-t5", "multitask-bert"])
def test_texts_of_another_tasks_exam_are_refused(preset: str) -> None:
    """One task has more rows of the common source: it trains on what the other evaluates on, also as a passage."""
    names = ("classification", "question-answering")
    more = {"data.train_rows": 28}
    with pytest.raises(
        OverlapError, match=r"4 of the 8 texts that classification evaluates on .* of question-answering"
    ):
        prepare(make(preset, names, question_answering=more))
    own = {**more, "data.seed": 7}
    assert prepare(make(preset, names, question_answering=own)).names == names


def test_tagged_words_are_the_text_that_they_came_from() -> None:
    """Words split for tagging, blanks around each mark, are found in the text of another task."""
    with pytest.raises(OverlapError, match="classification evaluates on are training texts of ner"):
        prepare(make("multitask-bert", ("classification", "ner"), ner={"data.train_rows": 28}))


@pytest.mark.parametrize(("name", "value"), [("method", "lora"), ("repeats", 2)])
def test_what_is_said_for_all_is_not_said_of_one(name: str, value: object) -> None:
    """A method or repeats of one task would be ignored, so they are refused."""
    with pytest.raises(SettingsError, match=f"sentiment has {name} = {value}"):
        prepare(make("multitask-t5", ("classification", "sentiment"), sentiment={name: value}))


def test_task_that_cannot_be_put_to_the_model_is_refused() -> None:
    """Tagging needs an encoder."""
    with pytest.raises(ModelError, match='"ner" cannot be put to "tiny-t5"'):
        prepare(make("multitask-t5", ("summarization", "ner")))


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"strategy": "sequental"}, NameUnknownError, "sequential"),
        ({"strategy": "continual", "continual": {"replay": 0, "ewc": 0.0}}, SettingsError, "both 0"),
        ({"strategy": "joint", "joint": {"weights": {"sentimant": 2.0}}}, SettingsError, "sentimant"),
        (
            {"strategy": "adapters", "adapters": {"begin_from": {"ner": "/nowhere"}}},
            SettingsError,
            '"ner", which is none',
        ),
    ],
    ids=lambda value: value.get("strategy") if isinstance(value, dict) else None,
)
def test_settings_that_name_nothing_are_refused(changes: dict[str, object], error: type[UsageError], says: str) -> None:
    """An unknown strategy, nothing to hold on to, weights or adapters of no task."""
    plain = make("multitask-bert", ("classification", "sentiment"))
    wrong = Multitask.model_validate({**plain.model_dump(), **changes})
    with pytest.raises(error, match=says):
        run_study(wrong, [choose_line(wrong.strategy)])
