"""``harness audit``."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import get_args

import click

from harness.checks.check import Result, Stage, Status
from harness.checks.report import AuditReport
from harness.cli.number import NumberRange
from harness.cli.run import quiet_libraries
from harness.cli.say import say
from harness.errors import SettingsError
from harness.gate import ExitCode
from harness.printable import printable

MARKS = {Status.PASSED: "✓", Status.SKIPPED: "-", Status.EXPECTED: "x"}
STYLES = {Status.PASSED: "green", Status.SKIPPED: "bright_black", Status.EXPECTED: "yellow"}


@click.command("audit")
@click.argument("pipeline", required=False)
@click.option("--task", help="Without PIPELINE: the embedded experiment of this task.")
@click.option(
    "--strategy", help="What this strategy does; PIPELINE is then a preset or file of several tasks (multitask-t5)."
)
@click.option("--check", "only", multiple=True, metavar="NAME", help="Only this check; may be given again.")
@click.option("--stage", "stages", multiple=True, type=click.Choice(get_args(Stage)), help="Only checks of this stage.")
@click.option("--expect", "expected", multiple=True, metavar="CHECK=REASON", help="A check that is known to fail.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Of the checks' random choices.")
@click.option("--seconds", default=60.0, show_default=True, type=NumberRange(min=0.1), help="Limit of each check.")
@click.option("--list", "only_list", is_flag=True, help="List the checks and what they claim; run nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_context
def audit_command(
    context: click.Context,
    pipeline: str | None,
    task: str | None,
    strategy: str | None,
    only: tuple[str, ...],
    stages: tuple[Stage, ...],
    expected: tuple[str, ...],
    seed: int,
    seconds: float,
    only_list: bool,  # noqa: FBT001 - click's interface
    as_json: bool,  # noqa: FBT001
) -> None:
    """Run the checks on a pipeline of your own, or on what an experiment does.

    PIPELINE is module:attribute or path/to/file.py:attribute and names a harness.Pipeline, or a function that returns
    one. Without it the experiment of this folder's harness.toml is checked, or else an embedded one. Exit code 0: no
    check failed; 1: a check failed; 6: a part of the pipeline raised; 4: nothing could be checked.
    """
    quiet_libraries(bars=False)
    from harness.checks.own import find_pipeline
    from harness.checks.own_multitask import find_tasks
    from harness.checks.suite import audit, choose_checks, load_pipeline
    from harness.config import load_experiment
    from harness.tasks import TASKS

    if task is not None:
        if pipeline is not None:
            raise SettingsError(
                f"--task names an experiment of the package, and {pipeline} is a pipeline of its own.",
                fix="Leave out one of the two.",
            )
        TASKS.require(task)
    if strategy is not None and not (only or stages):
        stages = ("multitask",)
    checks = choose_checks(only=only, stages=stages)
    if only_list:
        for check in checks:
            say(f"{check.name:48} {check.family:4} {check.claim}")
        return
    if strategy is not None:
        found = find_tasks(pipeline, strategy)
    else:
        found = find_pipeline(load_experiment(task=task)) if pipeline is None else load_pipeline(pipeline)
    with _clean_standard_output() if as_json else nullcontext():
        report = audit(
            found,
            checks=checks,
            expected_failures=dict(map(_parse_expected, expected)),
            seed=seed,
            seconds=seconds,
            say=_print_nothing if as_json else _print_result,
        )
    if as_json:
        say(json.dumps(report.as_json(), indent=2, ensure_ascii=False))
    else:
        _print_summary(report)
    context.exit(exit_code_of_audit(report))


@contextmanager
def _clean_standard_output() -> Iterator[None]:
    """Keep standard output for the JSON, whatever the pipeline's own programs write to its file descriptor."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def exit_code_of_audit(report: AuditReport) -> ExitCode:
    """The exit code of a report: a failure is worse than an error, and nothing checked is no pass."""
    counts = report.counts
    if counts[Status.FAILED] or counts[Status.STALE]:
        return ExitCode.FAILED
    if counts[Status.ERROR]:
        return ExitCode.BROKEN
    return ExitCode.PASSED if report.passed else ExitCode.NOT_COMPARABLE


def _parse_expected(text: str) -> tuple[str, str]:
    name, equals, reason = text.partition("=")
    if not equals or not reason.strip():
        raise SettingsError(f'--expect "{text}" gives no reason.', fix="Write --expect CHECK=REASON.")
    return name.strip(), reason.strip()


def _print_nothing(result: Result) -> None:
    """JSON is printed as a whole at the end."""


def _print_result(result: Result) -> None:
    mark = click.style(MARKS.get(result.status, "✗"), fg=STYLES.get(result.status, "red"))
    click.echo(f"{mark} {printable(f'{result.check.name}: {result.seen}')}")
    if result.suspects:
        say(f"    likely:     {', '.join(result.suspects)}")
    if result.remedy:
        say(f"    what to do: {result.remedy}")
    if result.traceback:
        say("    " + result.traceback.rstrip().replace("\n", "\n    "))


def _print_summary(report: AuditReport) -> None:
    say(f"\n{report.pipeline}: {report.say_counts()}")
    if report.suspects:
        say(f"Most likely: {', '.join(report.suspects[:3])}")
