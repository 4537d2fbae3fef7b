"""Settings of several tasks: where they come from, what a change reaches, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import NameUnknownError, SettingsError
from harness.method_settings import AdapterSettings
from harness.multitask import Multitask, load_multitask, multitask_presets
from harness.strategy_settings import TaskAdapterSettings

SERIES = """
name = "mine"
strategy = "joint"

[common.training]
epochs = 2
batch_size = 4

[each.translation.training]
epochs = 7

[[tasks]]
name = "tickets"
task = "classification"
[tasks.data]
source = "tickets.csv"
[tasks.training]
epochs = 5

[[tasks]]
name = "translation"
task = "translation"
"""


def two() -> Multitask:
    """Two embedded tasks."""
    return load_multitask(tasks=("summarization", "translation"))


@pytest.mark.parametrize("preset", multitask_presets())
def test_presets_have_four_tasks_on_one_model(preset: str) -> None:
    """What comes with the package can be read, and is a demonstration of at least four tasks."""
    found = load_multitask(preset)
    assert found.name == preset
    assert len(found.tasks) >= 4
    assert {task.name for task in found.tasks} == {task.task for task in found.tasks}


def test_a_file_names_whole_experiments(tmp_path: Path) -> None:
    """What is common lies under what a task says, what ``each`` says over it, and paths are meant from the file."""
    (tmp_path / "tickets.csv").touch()
    (tmp_path / "series.toml").write_text(SERIES, encoding="utf-8")
    found = load_multitask(str(tmp_path / "series.toml"))
    assert (found.name, found.strategy) == ("mine", "joint")
    assert {task.model.name for task in found.tasks} == {"tiny-t5"}
    assert [(task.name, task.training.epochs, task.training.batch_size) for task in found.tasks] == [
        ("tickets", 5, 4),
        ("translation", 7, 4),
    ]
    assert found.tasks[0].data.source == str(tmp_path / "tickets.csv")
    chosen = load_multitask(str(tmp_path / "series.toml"), tasks=("summarization", "tickets"))
    assert [task.name for task in chosen.tasks] == ["summarization", "tickets"]
    assert chosen.tasks[1] == found.tasks[0]
    assert chosen.tasks[0].training.epochs == 2


def test_a_change_reaches_what_its_path_names() -> None:
    """A path of the run changes the run, one of a task that task, any other all tasks."""
    changed = two().override(
        {
            "joint.mixing": "equal",
            "joint.weights.translation": 2.0,
            "adapters.method": "adapters",
            "adapters.reduction_factor": 2,
            "gate.level": 0.1,
            "training.epochs": 2,
            "translation.training.epochs": 3,
        }
    )
    assert (changed.joint.mixing, changed.joint.weights) == ("equal", {"translation": 2.0})
    assert (changed.adapters.method, changed.gate.level) == ("adapters", 0.1)
    assert [task.training.epochs for task in changed.tasks] == [2, 3]
    assert [task.adapters.reduction_factor for task in changed.tasks] == [2, 2]
    assert [task.gate.level for task in changed.tasks] == [0.05, 0.05]
    assert changed.override({}) == changed


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"joint.mixng": 1}, 'did you mean "mixing"'),
        ({"training.epohcs": 2}, 'did you mean "epochs"'),
        ({"strateg": "joint"}, 'Did you mean "strategy"'),
        ({"translatoin.training.epochs": 2}, 'Did you mean "translation"'),
        ({"repeats": 0}, '"repeats" is 0'),
        ({"tasks": ["ner"]}, 'There is no setting "tasks"|"tasks" is unknown'),
        ({"translation.model.name": "tiny-bert"}, "different models"),
        ({"translation.name": "summarization"}, "two tasks are called summarization"),
        ({"joint.mixing.x": 1}, "no parts"),
        ({"xyzzy": 1}, r"Choose one of: name, (?!.*\bname,)strategy, .*, translation\.$"),
    ],
)
def test_wrong_changes_are_told(changes: dict[str, object], told: str) -> None:
    """A typo is answered by the nearest name, a clash by what clashes."""
    with pytest.raises((SettingsError, NameUnknownError), match=told):
        two().override(changes)


@pytest.mark.parametrize(
    ("choice", "tasks", "told"),
    [
        ("multitask-t5", ("summarization",), "named is summarization: name at least two"),
        ("multitask-t5", ("summarization", "summarization"), "two tasks are called summarization"),
        ("multitask-t5", ("summarization", "translatoin"), 'Did you mean "translation"'),
        ("multitask-t6", None, 'Did you mean "multitask-t5"'),
        ("nowhere.toml", None, "There is no file nowhere.toml"),
    ],
)
def test_wrong_choices_are_told(choice: str, tasks: tuple[str, ...] | None, told: str) -> None:
    """One task, the same twice, a typo, a file that is not there."""
    with pytest.raises((SettingsError, NameUnknownError), match=told):
        load_multitask(choice, tasks=tasks)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name = ", "cannot be read"),
        ('name = "x"\ntasks = "ner"', '"tasks" is a list'),
        ('name = "x"\ntasks = [3, 4]', "a task is 3"),
        ('name = "x"\ncommon = 3\ntasks = []', '"common" and "each" are tables'),
        ('name = "x"\n[[tasks]]\ntaks = "ner"', 'did you mean "task"'),
        ('tasks = ["ner", "sentiment"]', '"name" is missing'),
        ('nam = "x"\ntasks = ["ner", "sentiment"]', 'did you mean "name"'),
    ],
)
def test_wrong_files_are_told(tmp_path: Path, text: str, told: str) -> None:
    """Each fault of a file is named, with the file."""
    file = tmp_path / "series.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=told) as caught:
        load_multitask(str(file))
    assert "series.toml" in str(caught.value)


def test_no_path_stands_for_two_things() -> None:
    """Adapters have settings as a strategy and as a method: none of them has the same name."""
    assert not TaskAdapterSettings.model_fields.keys() & AdapterSettings.model_fields.keys()
