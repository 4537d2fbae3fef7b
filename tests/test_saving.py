"""``harness run --save``: the tuned model as a folder that loads back as what was scored."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from peft import PeftModel
from transformers import PreTrainedModel

import harness.experiment
from harness import processes
from harness.cli import main
from harness.config import Experiment, TrainingSettings, load_experiment
from harness.errors import UsageError
from harness.experiment import Run, run
from harness.fingerprint import hash_weights
from harness.forms import choose_form
from harness.lesson import Trained
from harness.methods import Course
from harness.methods.stored import StoredAdapter, hash_base
from harness.models.loading import LoadedModel
from harness.saving import save_tuned
from tests.small import SMALL, small_experiment

TINY: dict[str, object] = {
    "data.train_rows": 4,
    "data.eval_rows": 2,
    "training.epochs": 1,
    "generation.max_length": 8,
    "gate.flips": 1000,
}


def nudge(model: PreTrainedModel, course: Course, settings: TrainingSettings) -> Trained:
    """A method that takes no time."""
    tuned = copy.deepcopy(model)
    next(tuned.parameters()).data.mul_(1.5)
    return Trained(model=tuned, losses=(), trainable_parameters=1)


def load_back(done: Run, folder: Path) -> LoadedModel:
    """The base of the same experiment on a saved folder."""
    return choose_form(done.experiment.override({"model.name": str(folder)})).load(done.splits.train)


@pytest.mark.parametrize(
    "experiment",
    [
        small_experiment(**TINY, repeats=2),
        load_experiment("ner-full").override({**TINY, "gate.require": ["base must not drift"]}),
    ],
    ids=["full", "ner"],
)
def test_saved_model_is_the_base_of_the_next_run(experiment: Experiment, tmp_path: Path) -> None:
    """Weights and tokenizer are those of the first seed's arm, no head is drawn anew, and the outputs are the same."""
    folder, told = tmp_path / "models" / "mine", list[str]()
    done = run(experiment, save=folder, say=told.append)
    assert told[-1] == f"tuned model saved to {folder}"
    assert [path.name for path in folder.parent.iterdir()] == ["mine"]
    assert (folder / "model.safetensors").is_file()
    loaded, scored = load_back(done, folder), done.tuned.manifest.model
    assert loaded.fresh == 0
    assert (loaded.identify().weights, loaded.identify().tokenizer) == (scored.weights, scored.tokenizer)
    assert all(other.manifest.model.weights != scored.weights for other in done.others)
    again = run(experiment.override({"model.name": str(folder), "repeats": 1}), method=nudge)
    assert [row.output for row in again.base.rows] == [row.output for row in done.tuned.rows]


@pytest.mark.parametrize("changes", [{"method": "lora"}, {"method": "prompt", "prompt.variant": "prompt-tuning"}])
def test_saved_adapter_is_what_plain_peft_loads(
    changes: dict[str, object], tmp_path: Path, tiny_t5: LoadedModel
) -> None:
    """On the base it gives the weights that were scored; its size is an adapter's, and it names its base."""
    folder = tmp_path / "adapter"
    done = run(small_experiment(**TINY).override(changes), save=folder)
    loaded = PeftModel.from_pretrained(load_back(done, Path("tiny-t5")).model, folder)
    assert hash_weights(loaded) == done.tuned.manifest.model.weights
    assert not (folder / "model.safetensors").exists()
    assert StoredAdapter.read(folder, base=hash_base(tiny_t5.model, [])).weights


REFUSED = {
    "there already": (["--save", "there"], "there exists already"),
    "cannot be written": (["--save", "file/model"], "file/model cannot be written: Not a directory"),
    "all tasks": (["--save", "new", "--task", "all"], "--save keeps the tuned model of one run, and --task all"),
    "all methods": (["--save", "new", "--method", "all"], "--save keeps the tuned model of one run, and --method all"),
    "a strategy": (["--save", "new", "--strategy", "joint"], "--save belongs to a run of one task"),
    "prompting": (["--save", "new", "--method", "prompt"], "There will be no model to save"),
    "adapter as a model": (["--model", "adapter"], "holds an adapter and no model"),
}


@pytest.mark.parametrize(("arguments", "told"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_saved_is_told_before_a_row_is_read(
    arguments: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit code 2, one message that helps, no row was read, nothing written."""
    monkeypatch.chdir(tmp_path)
    Path("there").mkdir()
    Path("adapter").mkdir()
    Path("adapter/adapter_config.json").touch()
    Path("file").touch()
    sets = [part for name, value in SMALL.items() for part in ("--set", f"{name}={json.dumps(value)}")]
    settings = [] if "--strategy" in arguments else sets
    monkeypatch.setattr("sys.argv", ["harness", "run", *settings, *arguments])
    before = sorted(tmp_path.rglob("*"))
    assert main() == 2
    error = " ".join(capsys.readouterr().err.split())
    assert told in error
    assert "rows, none in both" not in error
    assert "Traceback" not in error
    assert sorted(tmp_path.rglob("*")) == before


def test_run_that_fails_leaves_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ends the run at its verdict, its last stage, ends it before anything is saved."""

    def fail(*_: object, **__: object) -> None:
        raise UsageError("Cut off.", fix="")

    monkeypatch.setattr(harness.experiment, "judge", fail)
    with pytest.raises(UsageError, match="Cut off"):
        run(small_experiment(**TINY), method=nudge, save=tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_model_is_saved_whole_or_not_at_all(
    tmp_path: Path, tiny_t5: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full behind the weights leaves nothing; a folder that came about meanwhile stays as it is."""

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "thesis.txt").touch()
    with pytest.raises(UsageError, match="exists already"):
        save_tuned(tiny_t5, tmp_path / "there", base=tiny_t5)
    monkeypatch.setattr(type(tiny_t5.tokenizer), "save_pretrained", fail)
    with pytest.raises(UsageError, match="Make room"):
        save_tuned(tiny_t5, tmp_path / "new", base=tiny_t5)
    assert [path.name for path in tmp_path.rglob("*")] == ["there", "thesis.txt"]


def test_only_the_first_of_several_processes_writes(
    tmp_path: Path, tiny_t5: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process leaves the folder to the first."""
    monkeypatch.setattr(processes, "number", lambda: 1)
    save_tuned(tiny_t5, tmp_path / "new", base=tiny_t5)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    save_tuned(tiny_t5, tmp_path / "new", base=tiny_t5)
    assert (tmp_path / "new" / "model.safetensors").is_file()
