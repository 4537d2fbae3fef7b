"""``harness defects``."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.run import quiet_libraries
from harness.cli.say import say
from harness.errors import NameUnknownError
from harness.gate import ExitCode
from harness.registry import unknown_name

if TYPE_CHECKING:
    from harness.defects.defect import Defect
    from harness.defects.matrix import Audited, Matrix


@click.command("defects")
@click.argument("names", nargs=-1)
@click.option("--list", "only_list", is_flag=True, help="List the defects; audit nothing.")
@click.option(
    "--tokenizers",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A folder with the real tokenizers t5, marian-en-mg, gpt2, phi-3-mini-chat and bert-base-uncased.",
)
@click.option("--no-clean", is_flag=True, help="Leave out the clean pipelines, and so the count of false alarms.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes; one a processor by default.")
@click.option(
    "--write",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write matrix.json, matrix.html, matrix.md and caught.json into this folder.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the matrix as JSON.")
@click.pass_context
def defects_command(
    context: click.Context,
    names: tuple[str, ...],
    only_list: bool,  # noqa: FBT001 - click's interface
    tokenizers: Path | None,
    no_clean: bool,  # noqa: FBT001
    workers: int | None,
    folder: Path | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Plant every known bug in a clean pipeline and see which check catches it.

    NAMES choose defects; all of them by default. Exit code 0: each is caught and no clean pipeline raises an alarm;
    1: otherwise.
    """
    quiet_libraries(bars=False)
    from harness.defects.catalogue import all_defects

    chosen = _choose(all_defects(), names)
    if only_list:
        for entry in chosen:
            say(f"{entry.name:44} {entry.stage:13} {entry.description}")
        return
    from harness.defects.clean import clean_pipelines
    from harness.defects.matrix import make_matrix

    began = time.perf_counter()
    clean = () if no_clean else clean_pipelines(tokenizers)
    total, ended = len(chosen) + len(clean), 0

    def tell(audited: Audited) -> None:
        nonlocal ended
        ended += 1
        say(f"[{ended}/{total}] {_describe(audited)}", err=True)

    matrix = make_matrix(chosen, clean, workers=workers, say=tell)
    if folder is not None:
        from harness.defects.pages import write_pages

        write_pages(matrix, folder)
        say(f"Written to {folder}", err=True)
    if as_json:
        say(json.dumps(matrix.as_json(), indent=2, ensure_ascii=False))
    else:
        say(f"{say_counts(matrix)} in {time.perf_counter() - began:.0f} s")
    whole = all(audited.caught_by for audited in matrix.defects) and not matrix.false_alarms
    context.exit(ExitCode.PASSED if whole else ExitCode.FAILED)


def say_counts(matrix: Matrix) -> str:
    """The counts in one line."""
    counts = matrix.as_json()
    alarms = f"{counts['false_alarms']} false alarms in {counts['clean_audits']} clean audits"
    return f"{counts['caught']} of {counts['total']} defects caught, {counts['named']} named, {alarms}"


def _choose(known: tuple[Defect, ...], names: tuple[str, ...]) -> tuple[Defect, ...]:
    by_name = {entry.name: entry for entry in known}
    for name in names:
        if name not in by_name:
            error: NameUnknownError = unknown_name("defect", name, tuple(by_name))
            raise error
    return tuple(by_name[name] for name in names) if names else known


def _describe(audited: Audited) -> str:
    if audited.reference is None:
        bad = (*audited.caught_by, *audited.errors)
        return f"{audited.name}: {'FALSE ALARM ' + ', '.join(bad) if bad else 'clean'}"
    if not audited.caught_by:
        return f"{audited.name}: MISSED {' '.join(audited.errors)}"
    named = "named" if audited.named else f"not named ({', '.join(audited.report.suspects[:3])})"
    return f"{audited.name}: caught by {', '.join(audited.caught_by)}, {named}"
