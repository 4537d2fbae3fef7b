"""A base that was scored by an earlier run need not be scored again, and never passes for another."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from harness.bases import Bases
from harness.config import load_experiment
from harness.experiment import run
from harness.generation.auto import Choice
from harness.models.locate import EMBEDDED
from tests.arms import make_arm
from tests.small import count_scored, small_experiment

ARM = make_arm([1.0, 2.0])
FEW: dict[str, Any] = {"training.epochs": 1, "data.train_rows": 8}


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with each arm whose outputs are made."""
    return count_scored(monkeypatch)


@pytest.fixture(scope="module")
def bases() -> Bases:
    """With the base of a run of full fine-tuning."""
    bases = Bases()
    run(small_experiment(**FEW), bases=bases)
    return bases


def test_base_of_an_earlier_run_is_taken(bases: Bases, scored: list[int]) -> None:
    """Another method, another seed, another name, other requirements: the arm is the one that would be made now."""
    other = small_experiment(**FEW, method="lora", name="another").override(
        {"training.seed": 7, "gate.require": ["base must not drift"], "training.batch_size": 4}
    )
    said: list[str] = []
    done = run(other, bases=bases, say=said.append)
    assert scored == [8]
    assert any(line.startswith("base: rouge1") and line.endswith("(scored for summarization-full)") for line in said)
    alone = run(other)
    assert done.base.manifest == alone.base.manifest
    assert tuple(done.base.rows) == tuple(alone.base.rows)
    assert done.tuned.manifest == alone.tuned.manifest
    assert tuple(done.tuned.rows) == tuple(alone.tuned.rows)
    assert repr(done.verdict) == repr(alone.verdict)


def test_base_is_taken_where_the_engine_is_chosen_by_time(scored: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """What was measured to choose it is another number each time, and decides no output; each run says its own."""
    measured = iter(("2.1 times", "2.3 times"))
    monkeypatch.setattr(
        "harness.scoring.choose_engine", lambda *_, **__: Choice(engine="graph", found={"graph": next(measured)})
    )
    bases = Bases()
    experiment = small_experiment(**FEW).override({"generation.engine": "auto"})
    one, other = (run(experiment, bases=bases) for _ in range(2))
    assert len(scored) == 3
    assert "2.1 times" in str(one.base.manifest.engine)
    assert "2.3 times" in str(other.base.manifest.engine)


@pytest.mark.parametrize(
    "changes",
    [
        {"data.eval_rows": 7},
        {"data.seed": 9},
        {"generation.batch_size": 4},
        {"generation.num_beams": 2},
        {"encoding.max_input_tokens": 40},
        {"model.name": "tiny-llama"},
    ],
    ids=str,
)
def test_base_of_other_settings_is_scored_anew(bases: Bases, scored: list[int], changes: dict[str, object]) -> None:
    """What decides the base's outputs, or may, makes it another arm."""
    run(small_experiment(**FEW).override(changes), bases=bases)
    assert len(scored) == 2


def change_config(folder: Path) -> None:
    """Outputs are others, and no weight is."""
    place = folder / "config.json"
    config = json.loads(place.read_text())
    place.write_text(json.dumps(config | {"layer_norm_epsilon": 1.0}))


def change_weights(folder: Path) -> None:
    """One weight is another."""
    place = folder / "model.safetensors"
    weights = load_file(place)
    weights["shared.weight"][7] += 1
    save_file(weights, place, metadata={"format": "pt"})


def change_tokenizer(folder: Path) -> None:
    """A rule that the text which stands for all in a manifest's hash does not meet."""
    place = folder / "tokenizer.json"
    rules = json.loads(place.read_text())
    added = {"type": "Replace", "pattern": {"String": "qqqq"}, "content": ""}
    rules["normalizer"] = {"type": "Sequence", "normalizers": [n for n in (rules["normalizer"], added) if n]}
    place.write_text(json.dumps(rules))


@pytest.mark.parametrize("change", [change_config, change_weights, change_tokenizer])
def test_base_whose_files_were_changed_is_scored_anew(
    scored: list[int], tmp_path: Path, change: Callable[[Path], None]
) -> None:
    """The name is the same, and the model another."""
    folder = shutil.copytree(EMBEDDED / "tiny-t5", tmp_path / "model")
    experiment = small_experiment(**FEW).override({"model.name": str(folder)})
    bases = Bases()
    run(experiment, bases=bases)
    change(folder)
    done = run(experiment, bases=bases)
    assert len(scored) == 4
    alone = run(experiment)
    assert done.base.manifest == alone.base.manifest
    assert tuple(done.base.rows) == tuple(alone.base.rows)


def write_labelled(place: Path, labels: tuple[str, str], *, word: str = "of") -> str:
    """A file of 24 texts, whose labels take turns."""
    lines = [f"words {number} {word} {place.name},{labels[number % 2]}" for number in range(24)]
    place.write_text("\n".join(["text,label", *lines]) + "\n", encoding="utf-8")
    return str(place)


@pytest.mark.parametrize(
    ("name", "labels", "word"), [("train.csv", ("aaa", "neg"), "of"), ("eval.csv", ("neg", "neg"), "from")]
)
def test_base_whose_rows_were_changed_is_another(tmp_path: Path, name: str, labels: tuple[str, str], word: str) -> None:
    """A head's labels come from the training rows, and a fresh head for as many labels has the same weights."""
    changes = {
        "data.source": write_labelled(tmp_path / "train.csv", ("neg", "pos")),
        "data.eval_source": write_labelled(tmp_path / "eval.csv", ("neg", "neg")),
        "data.train_rows": 20, "data.eval_rows": 8, "training.epochs": 1, "gate.flips": 1000,
    }  # fmt: skip
    experiment = load_experiment("classification-full").override(changes)
    bases = Bases()
    run(experiment, bases=bases)
    write_labelled(tmp_path / name, labels, word=word)
    done, alone = run(experiment, bases=bases), run(experiment)
    assert done.base.manifest == alone.base.manifest
    assert tuple(done.base.rows) == tuple(alone.base.rows)


def test_arms_of_eight_bases_are_kept() -> None:
    """The one that was asked for longest ago goes; what cannot be told apart is not kept at all."""
    bases = Bases()
    made: list[str] = []

    def ask(key: str | None) -> None:
        bases.recall(key, lambda: made.append(str(key)) or ARM)  # type: ignore[func-returns-value]

    for key in ("a", "b", "c", "d", "e", "f", "g", "h", "a", "i", "a", "b", None, None):
        ask(key)
    assert made == [*"abcdefghib", "None", "None"]
