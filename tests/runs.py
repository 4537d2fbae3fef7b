"""Runs made by hand, whose texts try to break out of every format."""

from __future__ import annotations

from collections.abc import Sequence

from harness.arm import Arm
from harness.baselines import Baseline
from harness.config import Experiment, GateSettings
from harness.data.rows import Row, Splits
from harness.experiment import Run
from harness.gate import judge
from harness.requirements import parse_requirement
from harness.tasks.labels import LabelReport
from tests.arms import make_arm

HOSTILE = '<script>alert("x")</script> <img src=x onerror=alert(1)> | `b` & {{ 7*7 }} \n # c'
"""Markup for every reader that forgets to escape."""


def make_run(base: Sequence[float], tuned: Sequence[float], *, stored: Arm | None = None, require: str = "") -> Run:
    """A run with these scores of rouge1, whose rows, targets and outputs of the base are hostile."""
    settings = GateSettings(require=(require or "tuned must beat base on rouge1",))
    experiment = Experiment(name="x", gate=settings)
    base_arm = make_arm(base, outputs=[f"{HOSTILE} {n}" for n in range(len(base))])
    tuned_arm = make_arm(tuned, outputs=[f"t {n}" for n in range(len(tuned))], role="tuned", weights="w2")
    requirements = [parse_requirement(sentence, ("rouge1",)) for sentence in settings.require]
    baseline = Baseline(base=stored, tuned=stored) if stored else None
    row = Row(id=HOSTILE, input=HOSTILE, target=HOSTILE)
    rows = tuple(Row(id=str(n), input=f"{HOSTILE} input {n}", target=f"{HOSTILE} target {n}") for n in range(len(base)))
    return Run(
        experiment=experiment,
        splits=Splits(train=(row,), eval=rows),
        labels=LabelReport(
            summary="3 supervised tokens decode to the targets",
            rows=1,
            supervised_tokens=3,
            masked_tokens=1,
            targets_cut=0,
            inputs_cut=0,
        ),
        base=base_arm,
        tuned=tuned_arm,
        losses=(3.0, 1.0),
        trainable_parameters=10,
        seconds={"tune": 1.0},
        verdict=judge(experiment, base_arm, tuned_arm, baseline, requirements),
    )
