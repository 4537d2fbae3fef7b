"""``harness run``."""

from __future__ import annotations

import json
import os
import re
import sys
import tomllib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness import processes
from harness.cli.number import NumberRange
from harness.cli.say import say
from harness.config import Experiment, load_experiment
from harness.errors import SettingsError
from harness.progress import EVERY, UNFINISHED, Unfinished

if TYPE_CHECKING:
    from harness.bases import Bases
    from harness.experiment import Run
    from harness.probes import CheckReport
    from harness.report.account import Account

ALL = "all"
"""Stands for every task, or for every method."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where runs are written, where stored arms are, and who else is told."""

    runs: Path
    baselines: Path
    trackers: tuple[str, ...] = ()
    every: float = EVERY
    """Seconds between two checkpoints, at least."""
    fresh: bool = False
    """Whether to begin anew where a run was killed."""
    save: Path | None = None
    """The new folder that the tuned model is to go to."""

    def open_unfinished(self, name: str) -> Unfinished:
        """What is kept of the runs of an experiment, or of a series of tasks, that have not ended."""
        return Unfinished(self.runs / name / UNFINISHED, every=self.every, fresh=self.fresh)


@click.command("run")
@click.argument("experiment", required=False)
@click.option(
    "--task",
    help="What is learned, as summarization: its embedded experiment, or harness.toml if that is of this task; all: "
    "every embedded experiment, in one table.",
)
@click.option("--method", help="How the model is adapted, as full; all: every method, compared.")
@click.option("--strategy", help="How one model learns several tasks, as sequential; all: every strategy, compared.")
@click.option("--tasks", metavar="A,B,...", help="With --strategy: the tasks, in the order in which they are learned.")
@click.option("--model", help="tiny-t5, a checkpoint folder, or a hub id.")
@click.option(
    "--data",
    help="newsroom, a file or folder of rows, or a hub data set. What stands twice is left out; where there are fewer "
    "rows than the experiment asks for, both splits shrink alike.",
)
@click.option("--seed", type=click.IntRange(min=0), help="Seed of training (data.seed draws the rows).")
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="Change any setting, as training.epochs=3.")
@click.option(
    "--runs", default="runs", show_default=True, type=click.Path(path_type=Path), help="Where runs are written."
)
@click.option(
    "--baselines",
    default="baselines",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Where stored arms are.",
)
@click.option(
    "--track", "trackers", multiple=True, envvar="HARNESS_TRACK", metavar="NAME",
    help="Send the results to mlflow, tensorboard or wandb as well.",
)  # fmt: skip
@click.option(
    "--table", "document", type=click.Path(path_type=Path), help="With all: the document to put the tables into."
)
@click.option(
    "--keep-every", "every", default=EVERY, show_default=True, type=NumberRange(min=0), metavar="SECONDS",
    help="How often a run keeps what it has done, at most; after a kill the same command goes on there. 0: each step.",
)  # fmt: skip
@click.option("--fresh", is_flag=True, help="Begin anew where the same run was killed.")
@click.option(
    "--save", type=click.Path(path_type=Path), metavar="FOLDER",
    help="Save the tuned model (of the first seed) and its tokenizer to a new folder; an adapter as PEFT loads it.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the verdict, or all verdicts and tables, as JSON.")
@click.pass_context
def run_command(
    context: click.Context,
    experiment: str | None,
    task: str | None,
    method: str | None,
    strategy: str | None,
    tasks: str | None,
    model: str | None,
    data: str | None,
    seed: int | None,
    changes: tuple[str, ...],
    runs: Path,
    baselines: Path,
    trackers: tuple[str, ...],
    document: Path | None,
    every: float,
    fresh: bool,  # noqa: FBT001 - click's interface
    save: Path | None,
    as_json: bool,  # noqa: FBT001 - click's interface
) -> None:
    """Fine-tune a model, score base and tuned on the same rows, compare them, and judge.

    EXPERIMENT is a preset (summarization-full, ner-full, ..., seed-notebook) or a file like harness.toml. Without it,
    harness.toml of this folder is used, or else the embedded experiment of the task, which needs no network and no GPU.
    With --strategy it is a series of tasks: multitask-t5, multitask-bert, or a file.
    """
    named = {"task": task, "method": method, "model.name": model, "data.source": data, "training.seed": seed}
    settings: dict[str, object] = {name: value for name, value in named.items() if value is not None}
    given = dict(map(parse_change, changes))
    places = Places(runs=runs, baselines=baselines, trackers=trackers, every=every, fresh=fresh, save=save)
    if strategy is not None:
        from harness.cli.strategies import choose_multitask, require_no_others, run_strategies

        require_no_others({"task": task, "method": method, "data": data, "track": trackers, "save": save})
        changes_of_all = {name: value for name, value in (("model.name", model), ("seed", seed)) if value is not None}
        multitask = choose_multitask(experiment, tasks, model).override(changes_of_all | given)
        context.exit(run_strategies(multitask, strategy, places=places, document=document, as_json=as_json))
    if tasks is not None:
        raise SettingsError(
            "--tasks names several tasks, and no strategy.", fix="Add --strategy, as sequential or all."
        )
    if task == ALL and method == ALL:
        raise SettingsError("All methods of all tasks are asked for.", fix="Name the task, or the method.")
    if save is not None and ALL in {task, method}:
        option = "--task" if task == ALL else "--method"
        raise SettingsError(
            f"--save keeps the tuned model of one run, and {option} all makes several.",
            fix="Name the task and the method whose model is to be kept.",
        )
    if task == ALL:
        from harness.cli.several import list_tasks, run_tasks

        del settings["task"]
        chosen = [_choose(each, settings, given) for each in list_tasks(experiment, data)]
        context.exit(run_tasks(chosen, document=document, places=places, as_json=as_json))
    one = load_experiment(experiment, task=task)
    if data is not None and data != one.data.source:
        # Other rows are another experiment. Its settings were not chosen for them: there may be fewer, or some twice.
        settings |= {"name": name_experiment(one, data), "data.allow_fewer": True, "data.deduplicate": True}
    if method == ALL:
        from harness.cli.several import list_methods, run_methods

        del settings["method"]
        ways = list_methods(one.override(settings | given))
        context.exit(run_methods(ways, document=document, places=places, as_json=as_json))
    context.exit(execute(_choose(one, settings, given), as_json=as_json, places=places))


def _choose(experiment: Experiment, named: dict[str, object], given: dict[str, object]) -> Experiment:
    """The experiment with what was named and given; with another method it is another experiment, and says so."""
    changed = experiment.override(named | given)
    if changed.method == experiment.method or "name" in given:
        return changed
    return changed.override({"name": name_for_method(changed, changed.method, instead_of=experiment.method)})


def name_for_method(experiment: Experiment, method: str, *, instead_of: str) -> str:
    """The name of an experiment with another method, as ``summarization-lora`` for ``summarization-full``."""
    return f"{experiment.name.removesuffix(f'-{instead_of}')}-{method}"[:100]


def name_experiment(experiment: Experiment, data: str) -> str:
    """The name of an experiment on other rows: its own, and that of the rows."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(data).name).strip("-.")
    return f"{experiment.name}-{plain}"[:100]


def execute(experiment: Experiment, *, places: Places, as_json: bool) -> int:
    """Run, write the run's folder, print the verdict; returns the exit code."""

    def show(done: Run, folder: Path) -> None:
        from harness.report.facts import describe_run
        from harness.report.terminal import print_run

        if as_json:
            say(json.dumps({**describe_run(done), "folder": str(folder)}, indent=2, ensure_ascii=False))
        else:
            from rich.console import Console

            print_run(done, Console())

    return perform(experiment, places, show=show).verdict.exit_code


def perform(
    experiment: Experiment,
    places: Places,
    *,
    show: Callable[[Run, Path], None] = lambda *_: None,
    bases: Bases | None = None,
) -> Run:
    """Run, write the run's folder, show it, and tell the trackers; of several processes the first does all but run."""
    quiet_libraries()
    from harness.experiment import run
    from harness.methods.method import MethodWarning
    from harness.report.account import give_account
    from harness.report.folder import require_writable, write_run
    from harness.report.markdown import append_summary
    from harness.trackers import require_tracker

    require_writable(places.runs, experiment.name)
    for tracker in places.trackers:
        require_tracker(tracker)
    with places.open_unfinished(experiment.name) as unfinished, warnings.catch_warnings():
        # Every report says the same.
        warnings.simplefilter("ignore", MethodWarning)
        done = run(
            experiment,
            baselines=places.baselines,
            audit=audit,
            unfinished=unfinished,
            save=places.save,
            bases=bases,
            say=lambda line: say(line, err=True),
        )
        if not processes.is_first():
            return done
        folder = write_run(done, places.runs)
        unfinished.forget()
    account = give_account(done)
    append_summary(account)
    show(done, folder)
    say(f"Written to {folder}", err=True)
    for tracker in places.trackers:
        say(send(tracker, account, folder), err=True)
    return done


def audit(experiment: Experiment) -> CheckReport:
    """Run the checks of an experiment's own pipeline; they load PEFT, for which a typo should not have to wait."""
    from harness.checks.own import audit_experiment

    return audit_experiment(experiment)


def send(tracker: str, account: Account, folder: Path) -> str:
    """Tell a tracker, and say where; that it cannot be told must not cost the verdict, which is on disk."""
    from harness.trackers import TRACKERS

    try:
        return TRACKERS[tracker](account, folder)
    except Exception as error:  # noqa: BLE001 - each tracker has errors of its own
        return f"{tracker} could not be told: {type(error).__name__}: {error}"


def parse_change(change: str) -> tuple[str, object]:
    """Read ``NAME=VALUE``; the value as TOML would read it, or else as text."""
    name, equals, value = change.partition("=")
    if not equals:
        raise SettingsError(
            f'--set "{change}" has no value.', fix="Write --set NAME=VALUE, as --set training.epochs=3."
        )
    try:
        return name.strip(), tomllib.loads(f"value = {value}")["value"]
    except (ValueError, RecursionError):
        return name.strip(), value


def quiet_libraries(*, bars: bool = True) -> None:
    """No progress bars but on a terminal, if at all, and no advice from libraries between our lines."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    # PEFT asks transformers by a name that is on its way out.
    warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
    if not bars or not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        os.environ.setdefault("TQDM_DISABLE", "1")
