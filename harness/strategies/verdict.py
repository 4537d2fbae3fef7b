"""From the measures of a run and the sentences about it to a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.config import GateSettings
from harness.gate import EXIT_CODES, ExitCode
from harness.requirements import Finding, Status
from harness.strategies.gaps import Gap, gaps_of_forgetting, gaps_to_single
from harness.strategies.measures import Measure, measure
from harness.strategies.run import MultitaskRun
from harness.strategies.sentences import Sentence, parse_sentences

NO_SINGLE = "no single-task models were trained beside it: harness run --strategy all"


@dataclass(frozen=True, kw_only=True)
class MultitaskVerdict:
    """The answer of a run over several tasks.

    Args:
        measures: average score, transfer, forgetting.
        findings: one for each sentence.
    """

    measures: Mapping[str, Measure] = field(repr=False)
    findings: tuple[Finding, ...]

    @property
    def status(self) -> Status:
        """The gravest that became of a sentence."""
        return min((finding.status for finding in self.findings), key=list(EXIT_CODES).index)

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the gravest finding."""
        return EXIT_CODES[self.status]

    @property
    def passed(self) -> bool:
        """Whether every sentence holds."""
        return self.exit_code is ExitCode.PASSED


def judge_run(run: MultitaskRun, single: MultitaskRun | None) -> MultitaskVerdict:
    """Judge every sentence by the interval of what it speaks of.

    Args:
        run: what is judged.
        single: a model for each task, over the same rows and seeds; nothing where none were trained.
    """
    measures, settings = measure(run), run.multitask.gate
    findings = []
    for sentence in parse_sentences(run.multitask):
        if sentence.kind == "forget":
            found = _judge_each(
                sentence, gaps_of_forgetting(run), settings, "nothing was learned before the last stage"
            )
        elif sentence.kind == "single":
            found = _judge_each(sentence, gaps_to_single(run, single) if single else (), settings, NO_SINGLE)
        elif sentence.kind == "gain" and _says_the_same(run):
            found = Status.IDENTICAL, "in the end all outputs are those of the base"
        else:
            found = _judge_measure(sentence, measures[str(sentence.measure)], settings)
        findings.append(Finding(sentence=sentence.text, status=found[0], reason=found[1]))
    return MultitaskVerdict(measures=measures, findings=tuple(findings))


def _judge_measure(sentence: Sentence, found: Measure, settings: GateSettings) -> tuple[Status, str]:
    """Whether the interval lies on the right side of the bound, on the wrong one, or on both."""
    if not found.defined:
        return Status.NOT_COMPARABLE, f"{found.name} is not defined: all tasks in points were taught in one stage"
    seeds = f" over {len(found.by_seed)} seeds ({_say_each(found.by_seed)})" * (len(found.by_seed) > 1)
    seen = f"{found.value:.2f} points{seeds}, between {found.low:.2f} and {found.high:.2f}"
    if sentence.kind == "at-most":
        holds, fails = found.high <= sentence.points, found.low > sentence.points
    elif sentence.kind == "gain":
        holds, fails = found.low > sentence.points, found.high < max(sentence.points, settings.smallest_effect)
    else:
        holds, fails = found.low >= sentence.points, found.high < sentence.points
    if holds:
        return Status.HOLDS, seen
    if fails:
        return Status.FAILS, seen
    distance = max(abs(found.value - sentence.points), settings.smallest_effect)
    return Status.UNDECIDED, f"{seen}; {_too_few(found, distance)}"


def _judge_each(sentence: Sentence, gaps: Sequence[Gap], settings: GateSettings, missing: str) -> tuple[Status, str]:
    """Whether every task lost little enough: all must surely have, and one that surely lost more is enough to fail."""
    if not gaps:
        return Status.NOT_COMPARABLE, missing
    worst = max(gaps, key=lambda gap: gap.loss)
    seen = f"{worst.task} lost {worst.loss:.2f} points, between {worst.low:.2f} and {worst.high:.2f}"
    if any(gap.p_more_than(sentence.points) * len(gaps) <= settings.level for gap in gaps):
        return Status.FAILS, seen
    if all(gap.high <= sentence.points for gap in gaps):
        return Status.HOLDS, seen
    return Status.UNDECIDED, f"{seen}; the rows are too few to tell"


def _says_the_same(run: MultitaskRun) -> bool:
    """Whether no output of any seed differs from the base's."""
    return all(
        stages[-1].arms[task].outputs_hash == arm.outputs_hash
        for stages in run.repeats
        for task, arm in stages[0].arms.items()
    )


def _too_few(found: Measure, effect: float) -> str:
    needed = found.evidence.rows_needed(0, effect)
    if needed is None:
        return f"{found.evidence.seeds} seeds are too few: their noise hides {effect:.2f} points"
    return (
        f"{found.evidence.rows} rows are too few: to see {effect:.2f} points would take about {needed:,} over all tasks"
    )


def _say_each(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values)
