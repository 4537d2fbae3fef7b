"""The command line: ``harness run``, ``harness baseline``, one module a subcommand, imported when it is called."""

from __future__ import annotations

import importlib
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from harness import processes
from harness.cli.say import say

COMMANDS = {
    "audit": ("harness.cli.audit:audit_command", "Run the checks on a pipeline of your own."),
    "baseline": (
        "harness.cli.baseline:baseline",
        "List, show, compare, store, verify, check and prune the stored arms.",
    ),
    "bench": ("harness.cli.bench:bench_command", "Time the engines beside plain generate, in turns."),
    "calibrate": ("harness.cli.calibrate:calibrate_command", "Measure false alarms and power on your own scores."),
    "card": ("harness.cli.card:card_command", "Write the results of a stored run into a model card."),
    "compare": ("harness.cli.compare:compare_command", "Compare two stored arms, with an exit code for each outcome."),
    "defects": ("harness.cli.defects:defects_command", "Plant every known bug and see which check catches it."),
    "init": ("harness.cli.init:init_command", "Start a project: settings, a test, a workflow, a tox environment."),
    "report": ("harness.cli.report:report_command", "Write the reports of a stored run anew."),
    "run": ("harness.cli.run:run_command", "Fine-tune, score base and tuned, compare, and judge."),
    "sweep": ("harness.cli.sweep:sweep_command", "Run models x methods x tasks x seeds, here or on a cluster."),
}
"""Subcommand to its place and its line of help, so that ``--help`` imports none of them."""


class LazyGroup(click.Group):
    """A group whose subcommands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the subcommands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a subcommand."""
        if cmd_name not in COMMANDS:
            return None
        if cmd_name != "run":
            processes.require_one(f"harness {cmd_name}")
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the subcommands in the help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="finetune-harness", prog_name="harness")
def cli() -> None:
    """Is the fine-tuned model really better than its base, and is it still?

    \b
    Exit codes:
      0  every requirement holds
      1  a requirement does not hold
      2  what was asked for cannot be done; nothing was written
      3  too few rows to decide
      4  nothing comparable to compare with
      5  base and tuned are one model, or say the same
      6  the pipeline is broken: labels or loss
      7  a gain was required, and any that matters is excluded: no change
      70 a bug in the harness
      130 stopped by Ctrl-C
      143 asked to stop (SIGTERM)
    """  # noqa: D301 - click's mark for lines to leave as they are


class _Terminated(BaseException):
    """The process was asked to stop, by SIGTERM; click would make a Ctrl-C of a `KeyboardInterrupt`."""


@contextmanager
def _stopping_cleanly() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, so that locks are freed and temporary files go."""

    def stop(number: int, frame: object) -> None:
        raise _Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def main() -> Any:
    """Run the command line; an error of the harness becomes one line and its exit code, a bug keeps its traceback."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    processes.hush()
    try:
        code = _call()
        processes.part()
    except (Exception, KeyboardInterrupt, _Terminated) as error:  # noqa: BLE001 - reported, a bug with its traceback
        return processes.end_together(error, _report)
    # Of several processes the first has the verdict; torchrun stops all as soon as one ends with another code than 0.
    return code if processes.is_first() else 0


def _call() -> Any:
    try:
        with _stopping_cleanly():
            return cli.main(standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code


def _report(error: BaseException) -> int:
    """Say what ended the program; returns its exit code."""
    if isinstance(error, click.ClickException):
        error.show()
        return 2
    if isinstance(error, _Terminated):
        say("Terminated.", err=True)
        return 143
    if isinstance(error, click.Abort | KeyboardInterrupt):
        say("Interrupted.", err=True)
        return 130
    from harness.errors import HarnessError
    from harness.gate import ExitCode, exit_code_of

    if isinstance(error, HarnessError):
        say(f"{type(error).__name__}: {error}", err=True)
        return exit_code_of(error)
    if isinstance(error, OSError):
        # Permissions, names that are too long, a folder that is gone: the machine's fault or the user's, not a bug.
        say(f"{type(error).__name__}: {error}. Check that path, or choose another.", err=True)
        return ExitCode.USAGE
    import traceback

    say("".join(traceback.format_exception(error)), err=True)
    say("This is a bug in the harness; please report it with the lines above.", err=True)
    return ExitCode.INTERNAL
