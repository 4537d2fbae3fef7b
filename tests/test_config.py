"""Settings: validated, immutable, and every typo is named with the nearest right word."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import harness.config
from harness.config import (
    DataSettings,
    EncodingSettings,
    Experiment,
    GateSettings,
    GenerationSettings,
    ModelSettings,
    TrainingSettings,
    load_experiment,
    parse_experiment,
    presets,
)
from harness.errors import NameUnknownError, SettingsError
from harness.forms import choose_form
from harness.tasks import TASKS


@pytest.mark.parametrize("name", presets())
def test_presets_are_valid_and_named_after_their_file(name: str) -> None:
    """Each preset loads under its own name."""
    assert load_experiment(name).name == name


def test_notebook_preset_holds_the_notebooks_settings() -> None:
    """seed-notebook is the experiment that the notebook ran."""
    experiment = load_experiment("seed-notebook")
    assert (experiment.model.name, experiment.data.source) == ("t5-small", "EdinburghNLP/xsum")
    assert (experiment.data.train_rows, experiment.data.eval_rows, experiment.data.seed) == (80, 20, 42)
    assert (experiment.encoding.max_input_tokens, experiment.encoding.max_target_tokens) == (512, 128)
    training = experiment.training
    assert (training.learning_rate, training.weight_decay, training.batch_size, training.epochs) == (2e-5, 0.01, 4, 2)
    generation = experiment.generation
    assert (generation.num_beams, generation.min_length, generation.max_length) == (4, 40, 150)
    assert (generation.length_penalty, generation.early_stopping) == (2.0, True)


@pytest.mark.parametrize("name", presets())
def test_repr_evaluates_back(name: str) -> None:
    """What is printed can be pasted."""
    experiment = load_experiment(name)
    assert eval(repr(experiment), vars(harness.config).copy()) == experiment  # noqa: S307 - our own repr


def test_settings_never_change() -> None:
    """A setting that was checked cannot be set to something unchecked."""
    with pytest.raises(ValidationError):
        load_experiment("seed-notebook").training.epochs = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[training]\nlerning_rate = 1e-3", r'"training.lerning_rate" is unknown \(did you mean "learning_rate"\?\)'),
        ("[trainning]\nepochs = 1", r'"trainning" is unknown \(did you mean "training"\?\)'),
        ("[gate]\nzzz = 1", r"known are: require, level"),
        ("[training]\nepochs = 0", r'"training.epochs" is 0: input should be greater than or equal to 1'),
        ('[training]\nepochs = "3"', r"\"training.epochs\" is '3': input should be a valid integer"),
        ("[training]\nlearning_rate = nan", r"finite"),
        ('name = "../up"', "'../up' is no name of a folder"),
        ("[data]\ninput_columns = []", r'"data.input_columns" is'),
        ('[data]\ncolumns = ["a", "b", "a"]', r'"data": columns names a column twice: a, b, a'),
        ("[data]\ncolumns = []", r'"data.columns" is'),
        ('[data]\ncolumns = "a"', r"\"data.columns\" is 'a': it should be a list"),
        ('[data]\ntarget_source = "t.de"', r"target_source is set, but source is not"),
        ('[data]\neval_target_source = "t.de"', r"eval_target_source is set, but eval_source is not"),
        ('[data]\nscale = ["a"]', r'"data.scale" is'),
        ('[data]\nscale = ["a", " b"]', r"scale has a label twice, an empty one, or one with blanks around it"),
        ('[data]\nscale = ["a", "a"]', r"scale has a label twice"),
        ('[data]\nscale = ["a", "b", "c"]\nthresholds = [1, -0.5]', r"thresholds do not ascend: 1.0, -0.5"),
        ('[data]\nscale = ["a", "b", "c"]\nthresholds = [1, 1]', r"thresholds do not ascend: 1.0, 1.0"),
        ('[data]\nscale = ["a", "b"]\nthresholds = [1, 2]', r"2 thresholds part 3 labels, and scale names 2"),
        ("[data]\nthresholds = [1]", r"1 thresholds part 2 labels, and scale names 0"),
        ("[training]\nepochs = 0\nseed = -1", r"2 wrong settings"),
    ],
)
def test_wrong_setting_is_named(line: str, message: str, tmp_path: Path) -> None:
    """The message holds the setting's path, its value and what would be right."""
    path = tmp_path / "harness.toml"
    path.write_text(line if line.startswith("name") else f'name = "x"\n{line}', encoding="utf-8")
    with pytest.raises(SettingsError, match=message):
        load_experiment(str(path))


def test_name_is_needed(tmp_path: Path) -> None:
    """An experiment without a name has no baseline, so it is refused."""
    path = tmp_path / "harness.toml"
    path.write_text("[training]\n", encoding="utf-8")
    with pytest.raises(SettingsError, match='"name" is missing'):
        load_experiment(str(path))


def test_broken_toml_is_named(tmp_path: Path) -> None:
    """The line of the fault is said."""
    path = tmp_path / "harness.toml"
    path.write_text('name = "x"\n[data\n', encoding="utf-8")
    with pytest.raises(SettingsError, match="line 2"):
        load_experiment(str(path))


def test_unknown_experiment_suggests_a_preset() -> None:
    """A typo in a preset's name is told from a missing file."""
    with pytest.raises(NameUnknownError, match='Did you mean "seed-notebook"'):
        load_experiment("seed-notebok")
    with pytest.raises(SettingsError, match=r"There is no file none/harness\.toml"):
        load_experiment("none/harness.toml")


@pytest.mark.parametrize("task", TASKS)
def test_model_is_that_of_the_task(task: str, tmp_path: Path) -> None:
    """A file that names a task and no model has the model that the task's embedded experiment has, and can use it."""
    path = tmp_path / "harness.toml"
    path.write_text(f'name = "x"\ntask = "{task}"\n[model]\nallow_pickle = true\n', encoding="utf-8")
    experiment = load_experiment(str(path))
    assert experiment.model.name == load_experiment(f"{task}-full").model.name
    assert experiment.model.allow_pickle
    assert Experiment(name="x", task=task).model.name == experiment.model.name
    assert choose_form(experiment).task.name == task
    assert experiment.override({"model.name": "tiny-t5"}).model.name == "tiny-t5"


def test_task_of_ones_own_has_the_general_model() -> None:
    """A task without an embedded experiment has the default of the settings."""
    assert Experiment(name="x", task="mine").model == ModelSettings()


def test_file_of_the_folder_comes_before_the_embedded_preset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a choice, harness.toml of the working folder is taken, else the embedded experiment."""
    monkeypatch.chdir(tmp_path)
    assert load_experiment().name == "summarization-full"
    (tmp_path / "harness.toml").write_text('name = "mine"', encoding="utf-8")
    assert load_experiment().name == "mine"


@pytest.mark.parametrize(("task", "name"), [("summarization", "mine"), ("ner", "ner-full"), ("own", "mine")])
def test_named_task_is_not_put_upon_a_file_of_another(
    task: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where harness.toml has another task, its columns and sentences are those of that: the embedded one is meant."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "harness.toml").write_text('name = "mine"', encoding="utf-8")
    assert load_experiment(task=task).name == name


def test_overrides_are_checked_like_the_file() -> None:
    """A setting may be changed by its path; a typo there is named too."""
    experiment = load_experiment("summarization-full")
    changed = experiment.override({"training.epochs": 3, "gate.require": ["base must not drift"]})
    assert (changed.training.epochs, changed.gate.require) == (3, ("base must not drift",))
    assert changed.training.seed == experiment.training.seed
    for path in ("training.epoch", "trainig.epochs", "name.first"):
        with pytest.raises(SettingsError):
            experiment.override({path: 3})


@given(
    st.builds(
        Experiment,
        name=st.from_regex(r"[a-z][a-z0-9-]{0,10}", fullmatch=True),
        data=st.builds(DataSettings, train_rows=st.integers(1, 10**6), eval_split=st.none() | st.text()),
        model=st.builds(ModelSettings, name=st.text(min_size=1)),
        encoding=st.builds(EncodingSettings, prefix=st.none() | st.text()),
        training=st.builds(TrainingSettings, learning_rate=st.floats(0, 1), seed=st.integers(0, 2**32 - 1)),
        generation=st.builds(GenerationSettings, length_penalty=st.floats(-2, 2)),
        gate=st.builds(GateSettings, level=st.floats(0.001, 0.4)),
    )
)
def test_settings_survive_being_written_down(experiment: Experiment) -> None:
    """Plain values of an experiment give the same experiment back."""
    assert parse_experiment(experiment.model_dump(), where="a test") == experiment
    assert Experiment.model_validate_json(experiment.model_dump_json()) == experiment


def test_pipeline_to_check_is_meant_from_the_files_folder(tmp_path: Path) -> None:
    """A pipeline named by a file is found beside harness.toml; one named by a module stays as it is."""
    (tmp_path / "mine.py").write_text("", encoding="utf-8")
    for written, read in (
        ("mine.py:P", f"{tmp_path / 'mine.py'}:P"),
        ("pkg.mod:P", "pkg.mod:P"),
        ("no.py:P", "no.py:P"),
    ):
        path = tmp_path / "harness.toml"
        path.write_text(f'name = "x"\n[checks]\npipeline = "{written}"\n', encoding="utf-8")
        assert load_experiment(str(path)).checks.pipeline == read


def test_data_files_are_meant_from_the_files_folder(tmp_path: Path) -> None:
    """Sources and targets that stand beside harness.toml are found from any folder; other names stay as they are."""
    names = ("source", "target_source", "eval_source", "eval_target_source")
    lines = [f'{name} = "{name}.txt"' for name in names]
    (tmp_path / "harness.toml").write_text("\n".join(['name = "x"', "[data]", *lines]), encoding="utf-8")
    for name in names[:3]:
        (tmp_path / f"{name}.txt").write_text("a\n", encoding="utf-8")
    data = load_experiment(str(tmp_path / "harness.toml")).data
    assert [getattr(data, name) for name in names[:3]] == [str(tmp_path / f"{name}.txt") for name in names[:3]]
    assert data.eval_target_source == "eval_target_source.txt"
