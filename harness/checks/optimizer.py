"""Does the optimizer do what is declared: a rate that follows its schedule, and decay for those weights that should?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.checks.check import CheckFailed, CheckSkipped, check
from harness.checks.evidence import Evidence
from harness.checks.recorded_run import recorded_run
from harness.checks.recorder import Recording

TOLERANCE = 0.01
"""Largest deviation from the schedule, as a share of the highest rate."""
SPEEDS = range(2, 9)
"""How many times too fast a schedule may run: once a batch of a window, or once a process."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A declared schedule: up from 0 over the warm-up, then as ``kind`` says, down to 0 at the end of the run.

    Args:
        peak: the highest rate.
        warmup: steps over which the rate rises.
        steps: optimizer steps of the run.
        kind: linear, cosine or constant; where nothing is declared, only the rise and the peak are known.
    """

    peak: float
    warmup: int
    steps: int
    kind: str | None

    def rate(self, step: int) -> float:
        """The rate at a step, from 0; outside the run that of its nearer end."""
        step = min(max(step, 0), self.steps)
        if step < self.warmup:
            return self.peak * step / self.warmup
        passed = (step - self.warmup) / max(1, self.steps - self.warmup)
        shares = {"linear": 1 - passed, "cosine": (1 + math.cos(math.pi * passed)) / 2}
        return self.peak * shares.get(self.kind or "", 1.0)

    def explains(self, rates: Sequence[float], *, speed: int = 1) -> bool:
        """Whether rates follow the schedule, or one that runs ``speed`` times too fast."""
        return all(self.allows(rate, step, speed) for step, rate in enumerate(rates))

    def allows(self, rate: float, step: int, speed: int = 1) -> bool:
        """Whether a rate is that of a step or between its neighbours', for a run may begin to count at 0 or at 1."""
        near = [self.rate(speed * (step + offset)) for offset in (-1, 0, 1)]
        lowest = min(near) if self.kind or speed * step < self.warmup else 0.0
        return lowest - TOLERANCE * self.peak <= rate <= max(near) + TOLERANCE * self.peak

    def reached(self) -> float:
        """The highest rate of the run, whichever end of it is counted."""
        return max((self.rate(step) for step in range(1, self.steps)), default=self.rate(0))


@check("I14", "training", needs=("make_model", "train"))
def learning_rate_follows_its_schedule(evidence: Evidence) -> str:
    """The learning rate reaches what is declared, follows its schedule, and is 0 at the ends of the run alone."""
    rates = [step.learning_rate for step in recorded_run(evidence).recording.steps]
    if not all(map(math.isfinite, rates)):
        raise CheckSkipped("the optimizer finds its own learning rate")
    peak, warmup = evidence.declared("learning_rate"), evidence.declared("warmup_steps")
    kind = evidence.declared("schedule")
    possible = [
        Schedule(peak=peak or max(rates), warmup=steps, steps=len(rates), kind=kind if peak else None)
        for steps in (range(len(rates)) if warmup is None else [warmup])
    ]
    written = f"{len(rates)} steps at {', '.join(f'{rate:.2g}' for rate in rates)}"
    idle = sum(rate == 0 for rate in rates[1:-1])
    if max(rates) > 0 and not idle and any(_follows(schedule, rates) for schedule in possible):
        return written + (", as declared" if peak else "; no rate was declared")
    if peak:
        written += f"; declared is {peak:g}, {kind or 'any'} schedule, {'some' if warmup is None else warmup} warm-up"
    falls = bool(kind) and rates[-1] < max(rates)
    speeds = [speed for speed in SPEEDS if falls and any(entry.explains(rates, speed=speed) for entry in possible)]
    if max(rates) > 0 and (idle or speeds):
        raise CheckFailed(
            f"{written}: " + (f"it runs {speeds[0]} times too fast." if speeds else f"it is 0 at {idle} steps within."),
            suspects=("lr-schedule-steps-too-fast", "lr-zero-or-warmup-longer-than-run"),
            remedy="Step the schedule once an optimizer step, not once a batch or a process.",
        )
    meant = possible[0]
    astray = next((step for step, rate in enumerate(rates) if not meant.allows(rate, step)), None)
    if astray is not None and max(rates) >= meant.reached() * (1 - TOLERANCE):
        raise CheckFailed(
            f"{written}: step {astray + 1} has {rates[astray]:.2g}, and the schedule {meant.rate(astray):.2g}.",
            suspects=("lr-schedule-steps-too-fast", "lr-zero-or-warmup-longer-than-run"),
            remedy="Make one schedule of the declared kind for the whole run, and step it once an optimizer step.",
        )
    raise CheckFailed(
        f"{written}: the highest rate is {max(rates):.2g}, expected {meant.reached():.2g}.",
        suspects=("lr-zero-or-warmup-longer-than-run", "lr-schedule-steps-too-fast"),
        remedy="Make the warm-up shorter than the run, see that the rate is a number and no text, and declare both.",
    )


@check("I5", "training", needs=("make_model", "train"))
def vectors_do_not_decay(evidence: Evidence) -> str:
    """Where some parameters are kept from weight decay, all norms, biases and other vectors are."""
    recording = recorded_run(evidence).recording
    groups = recording.steps[-1].groups
    decay = max(group.weight_decay for group in groups)
    declared = evidence.declared("weight_decay")
    if declared is not None and not math.isclose(decay, declared, rel_tol=TOLERANCE, abs_tol=1e-9):
        raise CheckFailed(
            f"The weight decay is {decay:g}; declared is {declared:g}.",
            suspects=("weight-decay-on-norm-and-bias",),
            remedy="Give the optimizer the decay that is meant; a group's own value goes before the optimizer's.",
        )
    vectors = decayed_vectors(recording)
    if not decay or all(group.weight_decay for group in groups):
        return f"weight decay {decay:g} for all parameters alike"
    if vectors:
        raise CheckFailed(
            f"Some parameters are kept from weight decay, but {len(vectors)} vectors decay by {decay:g}, such as "
            f"{', '.join(vectors[:3])}.",
            suspects=("weight-decay-on-norm-and-bias",),
            remedy="Choose by shape (parameter.ndim > 1 decays), not by names that differ between architectures.",
        )
    return f"weight decay {decay:g} for matrices only"


def decayed_vectors(recording: Recording) -> list[str]:
    """The parameters with a single dimension that decayed at the last step."""
    decayed = {name for group in recording.steps[-1].groups if group.weight_decay for name in group.names}
    return sorted(name for name in decayed if len(recording.shapes.get(name, (0, 0))) <= 1)


def _follows(schedule: Schedule, rates: Sequence[float]) -> bool:
    return schedule.explains(rates) and max(rates) >= (1 - TOLERANCE) * schedule.reached()
