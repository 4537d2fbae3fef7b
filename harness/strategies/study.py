"""One command over several tasks: one strategy or several, on tasks made ready once and a base scored once."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError
from harness.gate import ExitCode
from harness.multitask import Multitask
from harness.preparation import Say
from harness.strategies.contest import SINGLE, Contest, compare_runs
from harness.strategies.curriculum import Curriculum, prepare_curriculum
from harness.strategies.lines import Line
from harness.strategies.progress import make_key
from harness.strategies.run import MultitaskRun, begin_line, run_line
from harness.strategies.sentences import parse_sentences
from harness.strategies.stage import say_scores, score_base
from harness.strategies.verdict import MultitaskVerdict, judge_run
from harness.tuning import Clock


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
    multitask: Multitask, lines: Sequence[Line], *, progress: Path | None = None, say: Say = lambda _: None
) -> Study:
    """Run one strategy or several over the same tasks, judge each, and compare them.

    Args:
        multitask: the settings; the strategy that they name is not asked for.
        lines: the strategies. Of several, one that does not fit the tasks is left out, and the reason kept.
        progress: a folder for whole stages, see `harness.strategies.run.run_strategy`.
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
    with clock.stage("base"):
        base = score_base(curriculum)
        say(f"base: {say_scores(curriculum, base)}")
    runs: dict[str, MultitaskRun] = {}
    for number, line in enumerate(fit, start=1):
        if len(fit) > 1:
            say(f"[{number}/{len(fit)}] {line.name}")
        runs[line.name] = run_line(line, curriculum, base, progress=progress, clock=Clock(), say=say)
    return Study(
        multitask=multitask,
        curriculum=curriculum,
        runs=runs,
        verdicts={name: judge_run(run, runs.get(SINGLE)) for name, run in runs.items()},
        contest=compare_runs(runs) if len(lines) > 1 else None,
        skipped=skipped,
        seconds=clock.seconds,
    )


def forget_progress(folder: Path, study: Study) -> None:
    """Take away what was kept for a command that has now ended: the next one begins anew."""
    for run in study.runs.values():
        shutil.rmtree(folder / make_key(run.curriculum), ignore_errors=True)


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
