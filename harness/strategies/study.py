"""One command over several tasks: one strategy or several, on tasks made ready once and a base scored once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError
from harness.gate import ExitCode
from harness.multitask import Multitask
from harness.preparation import Say
from harness.progress import NOTHING, Unfinished
from harness.resuming import hash_if_readable, make_key
from harness.strategies.contest import SINGLE, Contest, compare_runs
from harness.strategies.curriculum import Curriculum, prepare_curriculum
from harness.strategies.lines import Line
from harness.strategies.run import MultitaskRun, begin_line, run_line
from harness.strategies.sentences import parse_sentences
from harness.strategies.stage import say_scores, score_base
from harness.strategies.verdict import MultitaskVerdict, judge_run
from harness.tuning import Clock

DECIDE_NO_STAGE = {"tasks", "name", "strategy", "seed", "repeats", "gate"}
"""Settings that decide nothing about a stage of a seed, and the tasks, of which more counts than their settings."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """What a command left behind.

    Args:
        multitask: the settings that were given.
        curriculum: the tasks with their rows.
        runs: what each strategy left behind, by its name.
        verdicts: of each strategy.
        contest: the strategies compared; nothing where one was asked for.
        skipped: the strategies that do not fit these tasks, with the reason.
        seconds: how long tasks and base took; what the strategies took stands in each.
    """

    multitask: Multitask
    curriculum: Curriculum
    runs: Mapping[str, MultitaskRun]
    verdicts: Mapping[str, MultitaskVerdict]
    contest: Contest | None
    skipped: Mapping[str, str]
    seconds: Mapping[str, float]

    @property
    def exit_code(self) -> ExitCode:
        """That of the one that was asked for; of several 0 where they were compared, and 4 where fewer than two fit."""
        if self.contest is not None:
            return ExitCode.PASSED if len(self.runs) > 1 else ExitCode.NOT_COMPARABLE
        (verdict,) = self.verdicts.values()
        return verdict.exit_code


def run_study(
    multitask: Multitask, lines: Sequence[Line], *, unfinished: Unfinished | None = None, say: Say = lambda _: None
) -> Study:
    """Run one strategy or several over the same tasks, judge each, and compare them.

    Args:
        multitask: the settings; the strategy that they name is not asked for.
        lines: the strategies. Of several, one that does not fit the tasks is left out, and the reason kept.
        unfinished: where what is done is kept until ``unfinished.forget()``: after a kill, the same run goes on there
            and ends with the same weights, outputs and scores.
        say: is told what happens.

    Raises:
        UsageError: a setting, the data or the model cannot be used, tasks clash, or no strategy fits; nothing was
            trained.
        TrainingError: a stage failed.
    """
    parse_sentences(multitask)
    clock = Clock()
    curriculum = prepare_curriculum(multitask, clock=clock, say=say)
    fit, skipped = _choose_fitting(lines, curriculum, say=say)
    progress = NOTHING if unfinished is None else unfinished.open(make_study_key(curriculum, lines), say)
    with clock.stage("base"):
        base = score_base(curriculum, progress)
        say(f"base: {say_scores(curriculum, base)}")
    runs: dict[str, MultitaskRun] = {}
    for number, line in enumerate(fit, start=1):
        if len(fit) > 1:
            say(f"[{number}/{len(fit)}] {line.name}")
        runs[line.name] = run_line(line, curriculum, base, progress=progress, say=say)
    return Study(
        multitask=multitask,
        curriculum=curriculum,
        runs=runs,
        verdicts={name: judge_run(run, runs.get(SINGLE)) for name, run in runs.items()},
        contest=compare_runs(runs) if len(lines) > 1 else None,
        skipped=skipped,
        seconds=clock.seconds,
    )


def make_study_key(curriculum: Curriculum, lines: Sequence[Line]) -> str | None:
    """What decides how all stages of these strategies come out, see `harness.resuming.make_key`."""
    multitask = curriculum.multitask
    begin_from = {
        task: [(path.name, hash_if_readable(path)) for path in sorted(Path(folder).rglob("*"))]
        for task, folder in multitask.adapters.begin_from.items()
    }
    return make_key(
        [(subject.experiment, subject.splits, subject.ready.loaded.identify()) for subject in curriculum.subjects],
        {
            "settings": multitask.model_dump(mode="json", exclude=DECIDE_NO_STAGE),
            "lines": [line.name for line in lines],
            "begin from": begin_from,
        },
    )


def _choose_fitting(lines: Sequence[Line], curriculum: Curriculum, *, say: Say) -> tuple[list[Line], dict[str, str]]:
    """The strategies that can teach these tasks, and the reasons of the others; one at least must."""
    fit: list[Line] = []
    skipped: dict[str, str] = {}
    for line in lines:
        try:
            begin_line(line, curriculum)
            fit.append(line)
        except UsageError as error:
            if not fit and line is lines[-1]:
                raise
            skipped[line.name] = str(error)
            say(f"{line.name} is left out: {error}")
    return fit, skipped
