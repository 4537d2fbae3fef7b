"""``harness baseline``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from harness.arm import Arm
from harness.baselines import (
    APPROVAL_FILE,
    Baseline,
    find_orphans,
    known_experiments,
    list_baselines,
    newest_run,
    places,
    prune,
    read_baseline,
    read_run,
    review,
    say_review,
    store_baseline,
)
from harness.cli.say import say
from harness.config import Experiment, GateSettings
from harness.errors import BaselineError, UsageError

Command = Callable[..., Any]
FOLDER = click.Path(path_type=Path)
BASELINES = click.option(
    "--baselines", default="baselines", show_default=True, type=FOLDER, help="Where stored arms are."
)
RUNS = click.option("--runs", default="runs", show_default=True, type=FOLDER, help="Where runs are written.")
RUN = click.option("--run", "run_folder", type=FOLDER, help="The run; the experiment's last one by default.")
FORCE = click.option("--force", is_flag=True, help="Also in CI or with uncommitted changes; it is written down.")
EXPERIMENTS = click.option(
    "--experiments",
    default=".",
    show_default=True,
    type=FOLDER,
    help="The folder of the experiments' TOML files; what is stored for none of them, nor for a preset, is an orphan.",
)


@click.group("baseline")
def baseline() -> None:
    """List, show, compare, store, verify, check and prune the stored arms."""


@baseline.command("list")
@BASELINES
def list_command(baselines: Path) -> None:
    """List the stored arms and their scores."""
    arms = list_baselines(baselines)
    if not arms:
        say(f"No arm is stored in {baselines}.")
    for arm in arms:
        say(describe(arm))


@baseline.command("show")
@click.argument("experiment")
@BASELINES
def show_command(experiment: str, baselines: Path) -> None:
    """Show what is stored of EXPERIMENT: scores, why, from which commit, and what made it."""
    stored = require_stored(baselines, experiment)
    for arm in (stored.base, stored.tuned, *stored.others):
        say(describe(arm))
    if stored.approval is None:
        say("why and from which commit: not written down")
    else:
        approval = stored.approval
        say(f"why: {approval.why}")
        say(f"commit: {approval.commit or 'none'}{', forced' * approval.forced}; stored {approval.stored}")
    manifest = stored.tuned.manifest
    say(f"model: {manifest.model.name}, weights {manifest.model.weights[:12]}…")
    say("made with: " + ", ".join(f"{name} {value}" for name, value in manifest.environment.items()))


@baseline.command("diff")
@click.argument("experiment")
@RUN
@RUNS
@BASELINES
def diff_command(experiment: str, run_folder: Path | None, runs: Path, baselines: Path) -> None:
    """Show what accepting a run of EXPERIMENT would change: scores, versions, and the rows that moved most."""
    chosen = run_folder or newest_run(runs, experiment)
    show_difference(require_stored(baselines, experiment), chosen, experiment)


@baseline.command("accept")
@click.argument("experiment")
@click.option("--why", default="", help="Why the stored baseline is replaced; the first needs no reason.")
@click.option("--new-only", is_flag=True, help="Store it only where nothing is stored yet.")
@RUN
@FORCE
@RUNS
@BASELINES
def accept_command(
    experiment: str,
    *,
    why: str,
    new_only: bool,
    run_folder: Path | None,
    force: bool,
    runs: Path,
    baselines: Path,
) -> None:
    """Store the arms of a run of EXPERIMENT as the baseline that later runs are compared with.

    Where one is stored already, the difference is shown, and a reason must be given. Refused in CI, and where the git
    work tree differs from its commit (stored arms and runs apart), unless forced.
    """
    chosen = run_folder or newest_run(runs, experiment)
    new = read_run(chosen, experiment)
    stored = read_intact(baselines, experiment)
    if stored is not None and not new_only:
        show_difference(stored, chosen, experiment)
    place = store_baseline(baselines, new, why=why, force=force, new_only=new_only, ignored=[runs, chosen])
    say(f"Stored {chosen} as {place}.")
    for arm in list_baselines(baselines, experiment):
        say(describe(arm))
    say(f"Look at the difference and commit it: git add -N {place}; git diff {place}")


@baseline.command("verify")
@EXPERIMENTS
@BASELINES
@click.pass_context
def verify_command(context: click.Context, experiments: Path, baselines: Path) -> None:
    """Make sure that what is stored is whole, unedited, approved, and of an experiment; else end with code 1."""
    orphans = find_orphans(baselines, known_experiments(experiments))
    problems = [f"{orphan} is an orphan: no experiment asks for it" for orphan in orphans]
    for place in places(baselines):
        try:
            stored = read_baseline(baselines, place.name)
        except UsageError as error:
            problems.append(str(error))
        else:
            if stored is not None and stored.approval is None:
                problems.append(
                    f"{place / APPROVAL_FILE} is missing: why this was stored, and from which commit, nobody can tell. "
                    "Restore it from git, or accept a run."
                )
            elif stored is not None:
                say(f"✓ {place.name}: {2 + len(stored.others)} arms of {len(stored.base.rows)} rows")
    for problem in problems:
        say(f"✗ {problem}")
    context.exit(1 if problems else 0)


@baseline.command("check")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@EXPERIMENTS
@BASELINES
@click.option("--write", "document", type=FOLDER, help="Write what was found into this file as well, as JSON.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def check_command(
    context: click.Context,
    names: tuple[str, ...],
    experiments: Path,
    baselines: Path,
    document: Path | None,
    as_json: bool,  # noqa: FBT001 - click's interface
) -> None:
    """Score the stored bases anew, train nothing, and say what moved: after an upgrade, or on another machine.

    NAMEs are experiments; all that are stored by default. Each is unchanged, moved, or not comparable.

    \b
    Exit codes, the gravest of all:
      0  unchanged, or within what the experiment's sentence about drift allows
      1  moved further, or the weights are others
      2  nothing is stored of it
      3  moved, and too few rows to decide whether further
      4  not comparable: other rows, settings or metrics, which are named, or what is stored cannot be read
    """  # noqa: D301 - click's mark for lines to leave as they are
    from harness.cli.run import quiet_libraries

    quiet_libraries()
    from harness.atomic import write_whole
    from harness.drift import check_baselines
    from harness.gate import gravest
    from harness.report.drift import describe_drift, say_drift

    found = check_baselines(names, baselines=baselines, experiments=experiments, say=lambda line: say(line, err=True))
    written = json.dumps(describe_drift(found), indent=2, sort_keys=True, ensure_ascii=False)
    if document is not None:
        write_whole(document, f"{written}\n".encode())
    say(written if as_json else "\n".join(line for entry in found for line in say_drift(entry)))
    context.exit(gravest([entry.exit_code for entry in found]))


@baseline.command("versions")
@click.argument("folder", type=FOLDER)
@click.argument("document", type=FOLDER)
def versions_command(folder: Path, document: Path) -> None:
    """Put tables of what moved where into DOCUMENT, from the files in FOLDER that ``check --write`` wrote.

    A file is an environment, and is called by its name.
    """
    from harness.report.several import write_tables
    from harness.report.versions import read_records, tabulate_versions

    write_tables(tabulate_versions(read_records(folder)), document)
    say(f"Written to {document}", err=True)


@baseline.command("prune")
@click.option("--yes", is_flag=True, help="Remove them; else they are only named.")
@EXPERIMENTS
@FORCE
@RUNS
@BASELINES
def prune_command(*, yes: bool, experiments: Path, force: bool, runs: Path, baselines: Path) -> None:
    """Remove what is stored and belongs to no experiment."""
    known = known_experiments(experiments)
    if not yes:
        found = find_orphans(baselines, known)
        say("\n".join(f"would remove {path}" for path in found) or "Nothing to remove.")
        return
    removed = prune(baselines, known, force=force, ignored=[runs])
    say("\n".join(f"removed {path}" for path in removed) or "Nothing to remove.")


def describe(arm: Arm) -> str:
    """An arm in one line."""
    scores = ", ".join(f"{name} {score:.2f}" for name, score in arm.manifest.scores.items())
    return f"{arm.manifest.experiment}  {arm.manifest.role:5}  {len(arm.rows)} rows  {scores}"


def require_stored(baselines: Path, experiment: str) -> Baseline:
    """The stored arms of an experiment.

    Raises:
        BaselineError: there are none.
    """
    stored = read_baseline(baselines, experiment)
    if stored is None:
        names = ", ".join(sorted({arm.manifest.experiment for arm in list_baselines(baselines)})) or "nothing"
        raise BaselineError(
            f'Nothing is stored of "{experiment}" in {baselines}.', fix=f"Stored is: {names}. Accept a run first."
        )
    return stored


def read_intact(baselines: Path, experiment: str) -> Baseline | None:
    """The stored arms; nothing where they are damaged, for accepting a run is the way to replace those."""
    try:
        return read_baseline(baselines, experiment)
    except BaselineError as error:
        say(f"What is stored is damaged, so no difference is shown: {error}", err=True)
        return None


def show_difference(stored: Baseline, run_folder: Path, experiment: str) -> None:
    """Print scores and rows of a run beside the stored ones."""
    written = run_folder / "experiment.json"
    settings = (
        Experiment.model_validate_json(written.read_text(encoding="utf-8")).gate
        if written.is_file()
        else GateSettings()
    )
    for found in review(stored, read_run(run_folder, experiment), settings):
        say("\n".join(say_review(found)))
