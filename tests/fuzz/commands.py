"""The target of command lines: every command with options and values that nobody meant, in a small project."""

from __future__ import annotations

import contextlib
import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import click

from harness.cli import COMMANDS, _report, cli, main
from harness.errors import HarnessError, UsageError
from harness.gate import ExitCode
from tests.fuzz.damage import TOKENS, Script
from tests.fuzz.texts import made_by, make_baseline, make_run_folder
from tests.fuzz.trial import Target

TRAINING = (
    "harness.experiment.run",
    "harness.strategies.study.run_study",
    "harness.checks.suite.audit",
    "harness.defects.matrix.make_matrix",
    "harness.benchmark.cases.make_model",
    "harness.cli.calibrate.calibrate",
    "harness.drift.check_baselines",
    "harness.sweeps.plan.plan_sweep",
    "harness.sweeps.run.run_sweep",
)
"""What takes minutes behind a command line that is understood; here it ends with an error of ours instead."""
HEAVY = ("datasets", "harness.defects.reference.classifier", "harness.defects.reference.seq2seq", "sacrebleu")
"""What takes long to import, and is imported where it is first needed."""

WORDS = (
    "baselines", "run", "x", "harness.toml", "rows.jsonl", "run/base", "run/tuned", "baselines/x/base", "tiny-t5",
    "summarization", "rouge", "summarization-full", "all", "full", "newsroom", "sequential", "multitask-t5", "1", "0.1",
    "training.epochs=3", "training.epochs=", "data.limits.rows=0", "=", "name=../../x", "model.trust_remote_code=1",
    'gate.require=["tuned must"]', "../outside", ".", "..", "/dev/null", "CON", "-", "--", "-h", "--help", "nan",
    "1e400", "-1", "a:b", "none.py:x", "\u202e", "\x1b[2J", "\udcff",
)  # fmt: skip


class UnderstoodError(UsageError):
    """The command line was understood, and would begin to train now."""


class RefusedError(UsageError):
    """Refused by click, or by the system."""


def list_options(command: click.Command) -> list[str]:
    """The names of a command's options."""
    return [name for parameter in command.params for name in parameter.opts if name.startswith("-")]


def make_arguments(data: bytes) -> list[str]:
    """A command line: a command, then options and values in any order."""
    script = Script(data)
    name = list(COMMANDS)[script.choose(len(COMMANDS))]
    context = click.Context(cli)
    command = cli.get_command(context, name)
    arguments = [name]
    assert command is not None
    if isinstance(command, click.Group) and script.choose(16):
        sub = sorted(command.commands)[script.choose(len(command.commands))]
        command = command.commands[sub]
        arguments.append(sub)
    options = list_options(command)
    while not script.ended:
        if options and script.choose(2):
            arguments.append(options[script.choose(len(options))])
        if script.choose(8):
            arguments.append(WORDS[script.choose(len(WORDS))])
        else:
            token = TOKENS[script.choose(len(TOKENS))].decode("utf-8", "surrogateescape")[:5000]
            arguments.append(token.replace("\0", ""))  # no system hands on what ends a text for it
    return arguments


def make_project(folder: Path) -> None:
    """Settings, rows, a stored baseline and a run; what is heavy to import is imported before time counts."""
    for module in (*(place.rpartition(".")[0] for place in TRAINING), *HEAVY):
        importlib.import_module(module)
    (folder / "baselines").mkdir()
    (folder / "run").mkdir()
    make_baseline(folder / "baselines")
    make_run_folder(folder / "run")
    (folder / "harness.toml").write_text('name = "x"\n[data]\nsource = "rows.jsonl"\n', encoding="utf-8")
    rows = [json.dumps({"input": f"one {n}", "target": f"two {n}"}) for n in range(9)]
    (folder / "rows.jsonl").write_text("\n".join(rows), encoding="utf-8")


@contextlib.contextmanager
def without_training() -> Iterator[None]:
    """Nothing that takes minutes is begun."""
    stop = UnderstoodError("It would begin now.", fix="Go on.")
    with contextlib.ExitStack() as stack:
        for place in TRAINING:
            stack.enter_context(mock.patch(place, side_effect=stop))
        yield


def use_commands(folder: Path, data: bytes) -> None:
    """Call the command line as a shell would; its exit code is that of a bug only where there is one."""
    arguments = make_arguments(data)
    seen: list[Exception] = []

    def look(error: Exception) -> int:
        seen.append(error)
        return _report(error)

    with without_training(), mock.patch("sys.argv", ["harness", *arguments]), mock.patch("harness.cli._report", look):
        code = int(main() or 0)
    if seen and (code == ExitCode.INTERNAL or isinstance(seen[-1], HarnessError)):
        raise seen[-1]
    if code == ExitCode.USAGE:
        raise RefusedError(f"Refused: {arguments}.", fix="Ask for help.")


COMMAND_LINES = Target(
    name="command lines", seeds=made_by(make_project), use=use_commands, damages=False, reads_only=False
)
