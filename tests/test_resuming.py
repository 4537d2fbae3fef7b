"""By which key a run that was killed finds what it had done: all that decides how it comes out, and no more."""

from __future__ import annotations

import copy
import importlib.metadata
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.arm import ModelIdentity
from harness.data.source import load_splits
from harness.experiment import run
from harness.fingerprint import hash_weights
from harness.lesson import Trained
from harness.methods.full import tune
from harness.methods.method import Adapted, Method
from harness.metrics.metric import Table
from harness.models.loading import LoadedModel
from harness.progress import Progress, Unfinished
from harness.resuming import describe_circumstances, hash_method, make_key, recall_tuned
from harness.tasks.summarization import SUMMARIZATION
from tests.small import small_experiment

BASE = ModelIdentity(name="tiny", weights="0", tensors=1, parameters=1, tokenizer="0")


def own_method(base: Any, course: Any, settings: Any) -> Trained:
    """A method as users write theirs: a function of a module."""
    return tune(base, course, settings)


class Methods:
    """A method with settings of its own, which no text of a module shows."""

    def tune(self, base: Any, course: Any, settings: Any) -> Trained:
        """Tune as `own_method` does."""
        return tune(base, course, settings)


@cache
def read_rows() -> Any:
    return load_splits(small_experiment().data, SUMMARIZATION)


def key_of(method: Method | None = None, **changes: object) -> str | None:
    return make_key([(small_experiment(**changes), read_rows(), BASE)], hash_method(method))


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"gate.require": ["tuned must beat base on rouge2"]}, True),
        ({"repeats": 3}, True),
        ({"checks.pipeline": "other:pipeline"}, True),
        ({"gate.level": 0.1}, False),
        ({"gate.flips": 2000}, False),
        ({"training.epochs": 3}, False),
    ],
)
def test_key_leaves_out_only_what_no_piece_holds(changes: dict[str, object], same: bool) -> None:  # noqa: FBT001
    """Level and flips decide p-values that a method keeps, and which engine is chosen; requirements decide neither."""
    assert (key_of() == key_of(**changes)) == same


@pytest.mark.parametrize("package", ["peft", "trl", "bitsandbytes", "ctranslate2", "sacrebleu", "scikit-learn"])
def test_key_knows_the_version_of_every_package(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another version of what trains, generates or scores is another run, whether a manifest names it or not."""
    find = importlib.metadata.version
    before = key_of()
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.0" if name == package else find(name))
    assert key_of() != before


def test_key_knows_the_files_that_rlhf_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other pairs of the same name, or another text of the reward's module: another run; full reads neither."""
    pairs, reward = tmp_path / "pairs.csv", tmp_path / "reward_of_a_test.py"
    monkeypatch.syspath_prepend(str(tmp_path))
    changes = {"rlhf.pairs": str(pairs), "rlhf.reward": "reward_of_a_test:judge"}

    def keys(text: str, more: str) -> list[str | None]:
        pairs.write_text(text, encoding="utf-8")
        reward.write_text(f"def judge(outputs, rows): return [{more} for _ in outputs]\n", encoding="utf-8")
        return [
            key_of(**changes, method=None),
            make_key([(small_experiment(**changes).override({"method": "rlhf"}), read_rows(), BASE)], ""),
        ]

    (full, rlhf), *others = keys("a", "1"), keys("b", "1"), keys("a", "2")
    assert {other[0] for other in others} == {full}
    assert len({rlhf, *(other[1] for other in others)}) == 3


@pytest.mark.parametrize("name", ["no_such_package.rewards:judge", "__main__:judge"])
def test_reward_whose_text_is_not_there_is_nobodys_traceback(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A method that asks for no reward has its key all the same; rlhf has none."""
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    assert key_of(**{"rlhf.reward": name})
    experiment = small_experiment(**{"rlhf.reward": name, "method": "rlhf"})
    assert make_key([(experiment, read_rows(), BASE)], "") is None


def test_method_of_ones_own_is_known_by_its_name_and_its_text() -> None:
    """A function of a module has a key, and it is not that of the method of the settings."""
    assert key_of(own_method) is not None
    assert key_of(own_method) != key_of()
    assert key_of(own_method) == key_of(own_method)


@pytest.mark.parametrize(
    "make",
    [
        lambda: partial(own_method, rate=0.1),
        lambda: lambda *given: tune(*given),  # noqa: PLW0108 - a function without a name is the point
        lambda: Methods().tune,
        Methods,
    ],
    ids=["partial", "lambda", "bound", "object"],
)
def test_method_that_its_text_does_not_tell_has_no_key(make: Callable[[], Any]) -> None:
    """Two with other arguments look alike, and would take each other's pieces."""
    assert key_of(make()) is None


def test_method_of_a_notebook_has_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """``__main__`` has no file there; that of a script has one, and its text counts."""
    main = sys.modules["__main__"]
    monkeypatch.setattr(own_method, "__module__", "__main__")
    monkeypatch.setattr(main, "own_method", own_method, raising=False)
    monkeypatch.setattr(main, "__file__", __file__, raising=False)
    assert key_of(own_method) is not None
    monkeypatch.delattr(main, "__file__")
    assert key_of(own_method) is None


def test_run_that_has_no_key_keeps_nothing_and_says_so(tmp_path: Path) -> None:
    """It is run to its end, nothing is left on disk, and a line says why and what to do."""
    said: list[str] = []
    with Unfinished(tmp_path / "unfinished", every=0) as unfinished:
        done = run(
            small_experiment(**{"training.epochs": 1}),
            baselines=tmp_path,
            method=partial(own_method),
            unfinished=unfinished,
            say=said.append,
        )
        assert not (tmp_path / "unfinished").exists()
    assert done.losses
    assert sum("keeps nothing" in line for line in said) == 1


@pytest.mark.parametrize("adapted", [False, True])
def test_what_a_method_made_is_read_as_it_was_kept(tiny_t5: LoadedModel, tmp_path: Path, adapted: bool) -> None:  # noqa: FBT001
    """Weights, losses, facts, tables and warnings; the base stays as it is, and the method is not asked again."""
    base = tiny_t5.model
    model = copy.deepcopy(base)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(1)
    plain: dict[str, Any] = {"losses": (2.0, 1.0), "trainable_parameters": 7, "held_out_losses": (3.0,)}
    table = Table(title="t", columns=("a", "b"), rows=(("1", "2"), ("3", "4")))
    more: dict[str, Any] = {"facts": {"kl": 0.5}, "tables": (table,), "warnings": ("Look.",), "keeps_weights": True}
    made = Adapted(model=model, **plain, **more) if adapted else Trained(model=model, **plain)
    progress, said = Progress(folder=tmp_path), list[str]()
    assert recall_tuned(progress, base, lambda: made) is made
    found = recall_tuned(replace(progress, say=said.append), base, lambda: pytest.fail("It was asked again."))
    assert type(found) is type(made)
    assert {**vars(found), "model": None} == {**vars(made), "model": None}
    assert hash_weights(found.model) == hash_weights(model) != hash_weights(base)
    assert not found.model.training
    assert said == ["tuned already (kept 0 s ago)"]


def test_circumstances_are_the_same_twice() -> None:
    """What is not changed gives the same hashes."""
    assert describe_circumstances([small_experiment()]) == describe_circumstances([small_experiment()])
