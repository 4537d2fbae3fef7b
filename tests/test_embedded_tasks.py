"""The embedded experiment of every task, against its stored baseline."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import load_experiment, run
from harness.baselines import read_baseline
from harness.data.rows import Splits
from harness.data.source import load_splits
from harness.forms import choose_form
from harness.metrics import METRICS
from harness.metrics.scorer import choose_scores
from harness.scoring import score_arm
from harness.tasks import TASKS

BASELINES = Path(__file__).parents[1] / "baselines"
LONG = ("question-answering", "classification", "translation")
"""Whole trainings of about a minute and more."""
FEW = 12
"""Rows of which the base's outputs are made anew; all are with ``-m slow`` and ``-m long``."""


@pytest.mark.parametrize("name", list(TASKS))
def test_ground_has_not_moved(name: str) -> None:
    """Rows, settings, signatures, weights and tokenizer are those that were stored, and the base says what it said."""
    experiment = load_experiment(f"{name}-full")
    stored = read_baseline(BASELINES, experiment.name)
    assert stored is not None
    splits = load_splits(experiment.data, TASKS[name])
    form = choose_form(experiment)
    loaded = form.load(splits.train)
    some = Splits(train=splits.train, eval=splits.eval[:FEW])
    arm = score_arm(
        experiment,
        "base",
        loaded,
        form=form,
        scorer=choose_scores(METRICS, TASKS[name].metrics, splits.eval, TASKS[name].name_labels(splits.train)),
        encoded=form.encode(some.eval, loaded),
        splits=some,
        settings=form.resolve(loaded),
    )
    then, now = stored.base.manifest, arm.manifest
    assert now.model == then.model
    assert [(row.id, row.hash) for row in splits.eval] == [(row.id, row.hash) for row in stored.base.rows]
    assert {**now.comparable, "rows": None} == {**then.comparable, "rows": None}
    # Another machine rounds otherwise, which may turn a close choice or two.
    same = [one.output == other.output for one, other in zip(arm.rows, stored.base.rows, strict=False)]
    assert sum(same) >= FEW - 2


@pytest.mark.parametrize("name", list(TASKS))
def test_stored_tuned_model_has_learned(name: str) -> None:
    """What is stored is worth comparing with: tuned is far from base, and neither is at an end of the scale."""
    stored = read_baseline(BASELINES, f"{name}-full")
    assert stored is not None
    base, tuned = (arm.manifest.scores[TASKS[name].headline] for arm in (stored.base, stored.tuned))
    if TASKS[name].headline in stored.base.manifest.lower_is_better:
        assert 1 < tuned < base / 10
    else:
        assert base + 20 < tuned < 95


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.long if name in LONG else pytest.mark.slow)
        for name in TASKS
        if name != "summarization"
    ],
)
def test_every_requirement_holds(name: str) -> None:
    """The embedded experiment ends as it did when its baseline was stored: with a pass."""
    done = run(load_experiment(f"{name}-full"), baselines=BASELINES)
    assert {finding.sentence: str(finding.status) for finding in done.verdict.findings} == {
        finding.sentence: "holds" for finding in done.verdict.findings
    }
