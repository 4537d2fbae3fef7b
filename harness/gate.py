"""The gate: from comparisons and requirements to a verdict and an exit code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from harness.arm import Arm
from harness.baselines import Baseline
from harness.comparison import Comparison, Outcome, compare, say_power
from harness.config import Experiment, GateSettings
from harness.errors import HarnessError, IdentityError, UsageError
from harness.judgement import judge_sentence
from harness.requirements import Finding, Kind, Requirement, Status
from harness.statistics import can_decide
from harness.views import VIEWS

Probe = Callable[[Requirement], tuple[Status, str]]
"""Judges a sentence that speaks of something else than arms, as of checks or speed: status and reason."""


class ExitCode(IntEnum):
    """How the program ends."""

    PASSED = 0
    """Every requirement holds."""
    FAILED = 1
    """A requirement does not hold."""
    USAGE = 2
    """What was asked for cannot be done; nothing was written."""
    INCONCLUSIVE = 3
    """A requirement can be neither confirmed nor refuted: too few rows."""
    NOT_COMPARABLE = 4
    """A requirement compares with something that is missing or differs in rows, settings or metrics."""
    IDENTICAL = 5
    """Base and tuned are one model, or say the same in every row."""
    BROKEN = 6
    """The pipeline itself is broken: the loss is not finite, or the labels do not mean the targets."""
    NO_CHANGE = 7
    """A gain was required, and any that matters is excluded."""
    INTERNAL = 70
    """A bug in the harness; the traceback is shown."""
    INTERRUPTED = 130
    """Stopped by Ctrl-C."""


EXIT_CODES = {
    Status.FAILS: ExitCode.FAILED,
    Status.IDENTICAL: ExitCode.IDENTICAL,
    Status.NO_CHANGE: ExitCode.NO_CHANGE,
    Status.NOT_COMPARABLE: ExitCode.NOT_COMPARABLE,
    Status.UNDECIDED: ExitCode.INCONCLUSIVE,
    Status.HOLDS: ExitCode.PASSED,
}
"""The exit code of each status, the gravest first."""

OUTCOME_CODES = {
    Outcome.IMPROVED: ExitCode.PASSED,
    Outcome.REGRESSED: ExitCode.FAILED,
    Outcome.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
    Outcome.NOT_COMPARABLE: ExitCode.NOT_COMPARABLE,
    Outcome.IDENTICAL: ExitCode.IDENTICAL,
    Outcome.NO_CHANGE: ExitCode.NO_CHANGE,
}
"""The exit code of each outcome, where two arms are compared and nothing is required."""


@dataclass(frozen=True, kw_only=True)
class Comparisons:
    """The comparisons of a run; those with the stored baseline are missing where nothing is stored."""

    tuned_base: Comparison
    tuned_stored: Comparison | None
    base_stored: Comparison | None

    @property
    def stored(self) -> tuple[Comparison, ...]:
        """Those with the stored baseline."""
        return tuple(comparison for comparison in (self.tuned_stored, self.base_stored) if comparison is not None)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The answer of a run.

    Args:
        comparisons: tuned against base, and both against the stored baseline where there is one.
        findings: one for each requirement.
    """

    comparisons: Comparisons = field(repr=False)
    findings: tuple[Finding, ...]

    def _repr_html_(self) -> str:
        """How it shows itself in a notebook."""
        return VIEWS["verdict"](self)

    @property
    def outcome(self) -> Outcome:
        """What tuned against base amounts to."""
        return self.comparisons.tuned_base.outcome

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the gravest finding; that all outputs of base and tuned are equal is always one."""
        statuses = {finding.status for finding in self.findings}
        if self.outcome is Outcome.IDENTICAL:
            statuses.add(Status.IDENTICAL)
        return next((code for status, code in EXIT_CODES.items() if status in statuses), ExitCode.NOT_COMPARABLE)

    @property
    def passed(self) -> bool:
        """Whether every requirement holds."""
        return self.exit_code is ExitCode.PASSED


def gravest(codes: Sequence[ExitCode]) -> ExitCode:
    """The gravest of several exit codes."""
    return min(codes, key=list(EXIT_CODES.values()).index)


def exit_code_of(error: HarnessError) -> ExitCode:
    """The exit code that belongs to an error."""
    if isinstance(error, UsageError):
        return ExitCode.USAGE
    return ExitCode.IDENTICAL if isinstance(error, IdentityError) else ExitCode.BROKEN


def judge(
    experiment: Experiment,
    base: Arm,
    tuned: Arm | Sequence[Arm],
    baseline: Baseline | None,
    requirements: Sequence[Requirement],
    *,
    probes: Mapping[Kind, Probe] | None = None,
) -> Verdict:
    """Compare the arms with each other and with the stored ones, and judge the requirements.

    Args:
        experiment: has the gate's settings.
        base: the base's arm.
        tuned: the tuned model's arm, or one for each seed.
        baseline: the stored arms, or nothing.
        requirements: the sentences.
        probes: see `decide`.
    """
    settings = experiment.gate
    stored = baseline and (baseline.tuned, *baseline.others)
    comparisons = Comparisons(
        tuned_base=compare(tuned, base, settings, title="tuned vs base"),
        tuned_stored=compare(tuned, stored, settings, title="tuned vs stored tuned") if stored else None,
        base_stored=compare(base, baseline.base, settings, title="base vs stored base") if baseline else None,
    )
    return decide(comparisons, requirements, settings, probes)


def decide(
    comparisons: Comparisons,
    requirements: Sequence[Requirement],
    settings: GateSettings,
    probes: Mapping[Kind, Probe] | None = None,
) -> Verdict:
    """Judge every requirement.

    Args:
        comparisons: of the arms.
        requirements: the sentences.
        settings: level and smallest effect.
        probes: judge the kinds of sentences that speak of something else than arms; a kind without one is "not
            comparable", for nothing was looked at.
    """
    findings = []
    for requirement in requirements:
        status, reason = _find(requirement, comparisons, settings, probes or {})
        findings.append(Finding(sentence=requirement.sentence, status=status, reason=reason))
    return Verdict(comparisons=comparisons, findings=tuple(findings))


def _find(
    requirement: Requirement, comparisons: Comparisons, settings: GateSettings, probes: Mapping[Kind, Probe]
) -> tuple[Status, str]:
    if requirement.kind in probes:
        return probes[requirement.kind](requirement)
    compared: dict[Kind, Comparison | None] = {
        "beat": comparisons.tuned_base,
        "no-regression": comparisons.tuned_stored,
        "no-drift": comparisons.base_stored,
    }
    if requirement.kind not in compared:
        return Status.NOT_COMPARABLE, "nothing was measured"
    return judge_sentence(requirement, compared[requirement.kind], settings)


def first_question(experiment: Experiment, baseline: Baseline | None) -> str:
    """Can this many rows decide? Asked before anything is trained; the stored arms know how rows scatter.

    Args:
        experiment: says how many rows, and at which level.
        baseline: the stored arms, or nothing.
    """
    rows, level = experiment.data.eval_rows, experiment.gate.level
    if not can_decide(rows, level):
        return (
            f"{rows} row{'s' * (rows != 1)} can decide nothing at a level of {level:g}: "
            "whatever is trained, no verdict can come of it"
        )
    if baseline is None or len(baseline.base.rows) != rows:
        return f"{rows} rows can decide; how small a difference they show is known when they are scored"
    stored = compare(baseline.tuned, baseline.base, experiment.gate, title="stored tuned vs stored base")
    return f"judged by the stored arms, {say_power(stored, experiment.gate.smallest_effect)}"


__all__ = [
    "EXIT_CODES",
    "OUTCOME_CODES",
    "Comparisons",
    "ExitCode",
    "Finding",
    "Probe",
    "Status",
    "Verdict",
    "decide",
    "exit_code_of",
    "first_question",
    "gravest",
    "judge",
]
