"""The whole method: what it learns from, what it measures, what it warns of, and what it refuses."""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import Trainer

from harness.cli import main
from harness.config import Experiment, load_experiment
from harness.data.rows import Row
from harness.data.source import load_splits
from harness.errors import DataError, HarnessError, ModelError, NameUnknownError, SettingsError, TrainingError
from harness.experiment import make_course
from harness.forms import choose_form
from harness.methods import METHODS, Adapted, Course
from harness.methods.rlhf import tune as rlhf
from harness.methods.rlhf.measure import Measured, RewardHackingWarning, Ruler
from harness.methods.rlhf.rewards import ask_reward, find_reward, reward_facts, reward_length, reward_overlap
from tests.methods.rlhf.models import load
from tests.small import small_experiment

QUICK: dict[str, object] = {
    "method": "rlhf",
    "data.train_rows": 8,
    "rlhf.prompts": 0,
    "rlhf.unseen": 2,
    "rlhf.supervised_epochs": 1,
    "rlhf.steps": 1,
    "rlhf.updates": 1,
    "rlhf.samples": 2,
    "rlhf.batch_size": 2,
    "rlhf.reward_epochs": 1,
    "rlhf.max_new_tokens": 8,
    "generation.max_length": 16,
}
HERE = "tests.methods.rlhf.test_tune"


def make(**changes: object) -> tuple[Experiment, Course]:
    """A small experiment and its course."""
    form, loaded, rows = load(**{**QUICK, **changes})
    return form.experiment, make_course(form, loaded, rows, form.encode(rows, loaded), form.make_collator(loaded))


def adapt(**changes: object) -> Adapted:
    """What the method makes of the base, which must stay."""
    experiment, course = make(**changes)
    before = course.loaded.identify()
    found = METHODS["rlhf"](course.loaded.model, course, experiment.training)
    assert isinstance(found, Adapted)
    assert course.loaded.identify() == before
    assert course.loaded.with_weights_of(found.model).identify().weights != before.weights
    return found


COMMON = {
    "unseen_rows", "reward_before", "reward_after", "reward_rises_p", "kl", "tokens_before", "tokens_after",
    "metric_falls_p", "reward_hacking",
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({}, {"rouge1_before", "rouge1_after"}),
        ({"rlhf.reward": "model"}, {"rouge1_before", "rouge1_after", "pair_accuracy"}),
        ({"rlhf.reward": "rouge"}, {"facts_right_before", "facts_right_after"}),
        ({"rlhf.algorithm": "dpo"}, {"rouge1_before", "rouge1_after"}),
    ],
)
def test_every_way_reports_reward_kl_length_and_metric_together(changes: dict[str, object], more: set[str]) -> None:
    """The numbers are finite, and the metric is one that the reward is not made of."""
    found = adapt(**changes)
    assert set(found.facts) == COMMON | more
    assert all(np.isfinite(value) for value in found.facts.values())
    assert len(found.tables[0].rows) == 4 + ("pair_accuracy" in more)
    assert found.facts["unseen_rows"] == 2
    assert found.facts["kl"] >= 0
    assert len(found.losses) == 2


def test_nothing_is_learned_from_the_rows_that_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reward is asked about practice rows in training and about the others before and after, never mixed."""
    ASKED.clear()
    adapt(**{"rlhf.reward": f"{HERE}:noting_reward"})
    _, course = make()
    practice = frozenset(row.id for row in course.rows)
    assert ASKED[0] == ASKED[-1] == {f"newsroom-42-{place}" for place in (16, 17)}
    assert all(asked <= practice for asked in ASKED[1:-1])
    assert len(ASKED) == 3


def test_rows_of_a_file_are_parted(tmp_path: Path) -> None:
    """What cannot be written anew is held out: the last quarter is measured on, the rest learned from."""
    ASKED.clear()
    source = write_rows(tmp_path)
    adapt(**{"data.source": source, "rlhf.steps": 3, "rlhf.reward": f"{HERE}:noting_reward"})
    _, course = make(**{"data.source": source})
    practice, unseen = (frozenset(row.id for row in part) for part in (course.rows[:6], course.rows[6:]))
    first, *steps, last = ASKED
    assert first == last == unseen
    assert frozenset().union(*steps) == practice


def write_rows(folder: Path) -> str:
    """A file of sixteen rows."""
    _, course = make(**{"data.train_rows": 16})
    lines = [json.dumps({"document": row.input, "summary": row.target}) for row in course.rows]
    (folder / "rows.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(folder / "rows.jsonl")


def test_prompts_stand_in_neither_split() -> None:
    """By default the policy answers rows of the newsroom that are new, one for each prompt of all steps."""
    ASKED.clear()
    adapt(**{"rlhf.prompts": None, "rlhf.steps": 3, "rlhf.reward": f"{HERE}:noting_reward"})
    _, course = make()
    splits = load_splits(course.form.experiment.data, course.form.task)
    known = {row.id for row in (*splits.train, *splits.eval)}
    first, *steps, last = ASKED
    assert first == last
    assert list(map(len, steps)) == [2, 2, 2]
    answered = frozenset().union(*steps)
    assert len(answered) == 6
    assert not answered & (known | first)


ASKED: list[frozenset[str]] = []


def noting_reward(outputs: Sequence[str], rows: Sequence[Row]) -> list[float]:
    """A reward of a user's own."""
    ASKED.append(frozenset(row.id for row in rows))
    return [float(len(text) % 5) for text in outputs]


trl = pytest.mark.skipif(importlib.util.find_spec("trl") is None, reason="TRL is not installed")


@trl
@pytest.mark.parametrize("algorithm", ["rloo", "dpo"])
def test_causal_models_learn_through_trl(algorithm: str) -> None:
    """The same facts come of it, and the first loss of DPO is ln 2."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = adapt(**{"model.name": "tiny-llama", "rlhf.algorithm": algorithm})
    assert set(found.facts) >= COMMON
    assert len(found.losses) == 2
    if algorithm == "dpo":
        assert found.losses[-1] == pytest.approx(np.log(2), abs=1e-3)


@trl
@pytest.mark.parametrize("algorithm", ["rloo", "dpo"])
def test_trl_trains_in_full_precision(algorithm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As its settings say, and not as the environment does."""
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    seen: list[str] = []
    train = Trainer.train

    def look(trainer: Trainer, **options: Any) -> Any:
        seen.append(trainer.accelerator.mixed_precision)
        return train(trainer, **options)

    monkeypatch.setattr(Trainer, "train", look)
    adapt(**{"model.name": "tiny-llama", "rlhf.algorithm": algorithm})
    # The supervised start, and what TRL does.
    assert seen == ["no", "no"]


@trl
def test_trl_is_fed_the_ids_of_the_models_own_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    """TRL would tokenize prompt and separator as one text, to other ids than the model is asked with."""
    library = importlib.import_module("trl")
    experiment, course = make(**{"model.name": "tiny-llama"})
    heard: list[list[int]] = []
    original = library.RLOOTrainer._generate_single_turn

    def listening(self: Any, prompt_ids: list[list[int]], *rest: Any) -> Any:
        heard.extend(prompt_ids)
        return original(self, prompt_ids, *rest)

    monkeypatch.setattr(library.RLOOTrainer, "_generate_single_turn", listening)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        METHODS["rlhf"](course.loaded.model, course, experiment.training)
    own = [row.input_ids for row in course.form.encode(course.rows, course.loaded)]
    assert len(heard) == 4
    assert all(prompt in own for prompt in heard)


def test_without_trl_a_causal_model_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the extra, before anything is trained."""
    monkeypatch.setattr("harness.methods.rlhf.causal.importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(rlhf, "fine_tune", None)
    with pytest.raises(SettingsError, match="Install it: pip install trl"):
        adapt(**{"model.name": "tiny-llama"})


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"rlhf.reward": "fact"}, NameUnknownError, 'Did you mean "facts"'),
        ({"rlhf.reward": "nowhere:at_all"}, SettingsError, "cannot be imported"),
        ({"rlhf.reward": f"{HERE}:QUICK"}, SettingsError, "is a dict"),
        ({"rlhf.algorithm": "dpo", "rlhf.pairs": "nowhere.jsonl"}, DataError, "nowhere.jsonl"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_trained(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, object], error: type[HarnessError], said: str
) -> None:
    """A wrong setting costs no training."""
    monkeypatch.setattr(rlhf, "fine_tune", None)
    with pytest.raises(error, match=re.escape(said)):
        adapt(**changes)


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"rlhf.held_out": 0.01}, DataError, "Of 8 training rows 8 are to learn from and 0 to measure on"),
        ({"rlhf.prompts": 8}, SettingsError, "rlhf.prompts to 0"),
    ],
)
def test_a_file_that_cannot_be_parted_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changes: dict[str, object], error: type[HarnessError], said: str
) -> None:
    """Too few rows, or new ones where none can be written, cost no training."""
    monkeypatch.setattr(rlhf, "fine_tune", None)
    with pytest.raises(error, match=re.escape(said)):
        adapt(**{"data.source": write_rows(tmp_path), "rlhf.reward": "rouge", **changes})


def test_a_head_cannot_be_rewarded() -> None:
    """An encoder with a head writes nothing, and the message says what to use."""
    form = choose_form(small_experiment(**{"task": "classification", "model.name": "tiny-bert", "gate.require": None}))
    _, course = make()
    with pytest.raises(ModelError, match="as tiny-t5 or tiny-llama"):
        METHODS["rlhf"](course.loaded.model, replace(course, form=form), form.experiment.training)


# Rewards


def test_rewards_by_rule_are_highest_for_the_target() -> None:
    """The target gets the best there is; half of it, or twice it, gets less; silence tells no fact."""
    _, _, rows = load()
    row = rows[0]
    same = [row] * 4
    texts = [row.target, row.target.split(". ")[0], f"{row.target} {row.target}", ""]
    overlap, length, facts = (rule(texts, same) for rule in (reward_overlap, reward_length, reward_facts))
    assert overlap[0] == pytest.approx(1.0)
    assert max(overlap[1:]) < 1 - 0.1
    assert (length[0], length[2], length[3]) == (0.0, -1.0, -1.0)
    assert -1 < length[1] < 0
    assert facts[0] == 1.0
    assert facts[1] == pytest.approx(2 * 0.75 / 1.75)
    assert facts[3] == 0.0


def test_facts_cannot_judge_rows_of_no_event() -> None:
    """The rule says which rewards can."""
    strange = Row(id="mine", input="A text.", target="Text.")
    with pytest.raises(SettingsError, match="cannot judge these 1 rows"):
        find_reward("facts", [strange])
    assert find_reward("rouge", [strange]) is reward_overlap


@pytest.mark.parametrize("values", [[1.0], [1.0, float("nan")]])
def test_a_reward_that_says_something_else_is_refused(values: list[float]) -> None:
    """One finite number for each output."""
    row = Row(id="mine", input="A text.", target="Text.")
    with pytest.raises(TrainingError, match="for 2 outputs"):
        ask_reward(lambda outputs, rows: values, ["a", "b"], [row, row])


# Reward hacking


def measured(reward: float, metric: float) -> Measured:
    """Twenty rows around these means."""
    noise = np.linspace(-0.1, 0.1, 20)
    return Measured(reward=reward + noise, tokens=np.full(20, 9.0), metric=metric - noise)


@pytest.mark.parametrize(
    ("reward", "metric", "name", "hacked"),
    [
        (1.0, 40.0, "facts", True),
        (1.0, 50.0, "facts", False),
        (0.0, 40.0, "facts", False),
    ],
)
def test_reward_that_rises_while_the_metric_falls_is_warned_of(
    reward: float, metric: float, name: str, *, hacked: bool
) -> None:
    """Both must be more than chance; the facts say it too."""
    form, loaded, rows = load()
    ruler = Ruler(form=form, loaded=loaded, rows=rows, reward=reward_facts, reward_name=name)
    assert ruler.independent
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        findings = ruler.compare(measured(0.0, 50.0), measured(reward, metric), 1.5)
    found, table = findings.facts, findings.table
    assert [entry.category for entry in caught] == [RewardHackingWarning] * hacked
    assert findings.warnings == tuple(str(entry.message) for entry in caught)
    shown = [tuple(map(float, line[1:3])) for line in table.rows]
    assert shown == [(0.0, reward), (50.0, metric), (9.0, 9.0), (0.0, 1.5)]
    assert found["reward_hacking"] == float(hacked)
    assert (found["reward_before"], found["reward_after"]) == pytest.approx((0.0, reward), abs=1e-9)
    assert (found["rouge1_before"], found["rouge1_after"]) == pytest.approx((50.0, metric))
    assert (found["reward_rises_p"] < 0.01) == (reward > 0)


def learn_embedded(**changes: object) -> dict[str, float]:
    """The facts of the embedded experiment by this method."""
    experiment = load_experiment("summarization-full").override({"method": "rlhf", **changes})
    form = choose_form(experiment)
    rows = load_splits(experiment.data, form.task).train
    loaded = form.load(rows)
    course = make_course(form, loaded, rows, form.encode(rows, loaded), form.make_collator(loaded))
    found = METHODS["rlhf"](loaded.model, course, experiment.training)
    assert isinstance(found, Adapted)
    return dict(found.facts)


@pytest.mark.long
@pytest.mark.parametrize("seed", [42, 43, 44])
def test_reward_of_the_embedded_experiment_rises_on_unseen_rows(seed: int) -> None:
    """The reward rises by a detectable amount at a bounded KL, and ROUGE does not fall."""
    facts = learn_embedded(**{"training.seed": seed})
    assert facts["reward_rises_p"] < 0.05
    assert facts["reward_after"] - facts["reward_before"] > 0.03
    assert facts["metric_falls_p"] > 0.05
    assert facts["kl"] < 5
    assert facts["reward_hacking"] == 0


@pytest.mark.long
@pytest.mark.xfail(reason="the default settings do not do it yet: 0.708 before, 0.704 after, p 0.62", strict=True)
def test_dpo_raises_the_reward_of_the_embedded_experiment() -> None:
    """Pairs of faithful and faulty summaries raise the share of facts, which is no part of the pairs."""
    facts = learn_embedded(**{"rlhf.algorithm": "dpo"})
    assert facts["reward_rises_p"] < 0.05
    assert facts["metric_falls_p"] > 0.05


def reward_words(outputs: Sequence[str], rows: Sequence[Row]) -> list[float]:
    """A reward that anybody can please: the more words the better."""
    return [len(text.split()) / 10 for text in outputs]


@pytest.mark.long
def test_a_policy_that_pleases_a_foolish_reward_is_found_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It learns to chatter, and the command prints reward, metric, KL and length with the warning."""
    changes = {"rlhf.reward": f"{HERE}:reward_words", "rlhf.beta": 0.0, "rlhf.learning_rate": 2e-3, "rlhf.steps": 10}
    arguments = [part for name, value in changes.items() for part in ("--set", f"{name}={value}")]
    places = ["--runs", str(tmp_path / "runs"), "--baselines", str(tmp_path / "none")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["harness", "run", "--method", "rlhf", *arguments, *places])
        main()
    said = " ".join(capsys.readouterr().out.split())
    assert "the policy learned to please the reward" in said
    assert all(shown in said for shown in ("reward:", "KL from the start", "tokens of an output"))
    (facts,) = (json.loads(path.read_text(encoding="utf-8")) for path in tmp_path.glob("runs/*/*/verdict.json"))
    assert facts["method"]["reward_hacking"] == 1
    assert facts["method"]["tokens_after"] > facts["method"]["tokens_before"]
    assert facts["warnings"][0] in said
