"""``harness calibrate``."""

from __future__ import annotations

import dataclasses
import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from harness.calibration import Calibrated, calibrate, pair_rows
from harness.cli.number import NumberRange
from harness.cli.say import say
from harness.config import load_experiment
from harness.errors import DataError

Floats = NDArray[np.float64]
PATH = click.Path(path_type=Path)
EFFECT = NumberRange(min=0, min_open=True)
HEAD = ("rows", "metrics", "false alarms", "limits", "power", "any drop", "drop > 1")


@click.command("calibrate")
@click.argument("sources", nargs=-1, required=True, type=PATH)
@click.option("--references", type=PATH, help="For files of outputs: the references, one a line.")
@click.option("--metric", default="rouge", show_default=True, help="For files of outputs: what scores them.")
@click.option("--first", type=click.IntRange(min=1), help="Take only the first rows of what is given.")
@click.option("--experiment", help="Whose gate is measured; harness.toml by default.")
@click.option("--rows", default="20,100,500,2000", show_default=True, help="Numbers of rows to measure at.")
@click.option("--trials", type=click.IntRange(min=100), default=1_000, show_default=True, help="Trials for each.")
@click.option("--effect", type=NumberRange(min=0, min_open=True), help="The loss to find; the smallest by default.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Decides the draws.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print a table for a README.")
def calibrate_command(
    sources: tuple[Path, ...],
    *,
    references: Path | None,
    metric: str,
    first: int | None,
    experiment: str | None,
    rows: str,
    trials: int,
    effect: float | None,
    seed: int,
    as_json: bool,
    as_markdown: bool,
) -> None:
    """Measure how often the gate cries wolf over an unchanged model, and how often it finds a loss.

    SOURCES are one or two folders of arms, the folder of a run, or one or two files of outputs (one a line, gzip or
    not) with --references. Of two arms, the deltas are centred and each row's sign is left to chance; of one, each row
    is compared with another, which is the worst case.
    """
    gate = load_experiment(experiment).gate
    scores = [table[:first] for table in read_scores(sources, references, metric)]
    deltas = scores[1] - scores[0] if len(scores) > 1 else pair_rows(scores[0], seed=seed)
    counts = parse_rows(rows)
    found = calibrate(deltas, gate, rows=counts, effect=effect or gate.smallest_effect, trials=trials, seed=seed)
    if as_json:
        say(json.dumps([dataclasses.asdict(entry) for entry in found], indent=2))
    elif as_markdown:
        say("\n".join(to_markdown(found)))
    else:
        say(f"{len(deltas)} rows; level {gate.level:g}, {gate.flips:,} flips, {trials:,} trials each;")
        say(f"power to find a loss of {found[0].effect:g} in every metric")
        say("\n".join(to_table(found)))


def read_scores(sources: Sequence[Path], references: Path | None, metric: str) -> list[Floats]:
    """Scores of one or two arms as (rows, metrics) float64.

    Raises:
        DataError: the sources are not one or two arms of the same rows and metrics.
    """
    if len(sources) == 1 and (sources[0] / "base").is_dir() and (sources[0] / "tuned").is_dir():
        sources = (sources[0] / "base", sources[0] / "tuned")
    if len(sources) > 2:  # noqa: PLR2004 - a pair
        raise DataError(f"{len(sources)} sources were given.", fix="Give one arm, or two to be compared.")
    tables = read_arms(sources) if references is None else score_files(sources, references, metric)
    if len({table.shape for table in tables}) > 1:
        raise DataError(
            f"The sources have {' and '.join(str(len(table)) for table in tables)} rows.",
            why="Deltas are taken row by row.",
            fix="Give two outputs of the same rows.",
        )
    return tables


def read_arms(folders: Sequence[Path]) -> list[Floats]:
    """The scores of stored arms."""
    from harness.arm import Arm

    for folder in folders:
        if not folder.is_dir():
            raise DataError(
                f"{folder} is no folder of an arm.", fix="Give a run, an arm, or files of outputs with --references."
            )
    arms = [Arm.read(folder) for folder in folders]
    return [arm.score_matrix(tuple(arm.manifest.metrics)) for arm in arms]


def score_files(outputs: Sequence[Path], references: Path, metric: str) -> list[Floats]:
    """Score files of outputs, line by line."""
    from harness.metrics import METRICS
    from harness.metrics.texts import score_texts

    targets = read_lines(references)
    tables = []
    for path in outputs:
        lines = read_lines(path)
        if len(lines) != len(targets):
            raise DataError(
                f"{path} has {len(lines)} lines, and {references} has {len(targets)}.",
                fix="Give one output and one reference a line, in the same order.",
            )
        scores = score_texts(METRICS[metric], lines, [[target] for target in targets])
        tables.append(np.stack(list(scores.values()), axis=1))
    return tables


def read_lines(path: Path) -> list[str]:
    """The lines of a text file, compressed or not.

    Raises:
        DataError: it cannot be read.
    """
    try:
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8")
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}.", fix="Give a text file, one row a line.") from error
    return text.removesuffix("\n").split("\n")


def parse_rows(text: str) -> list[int]:
    """Numbers of rows, as 20,100.

    Raises:
        DataError: there is something else.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdigit() and int(part) > 0 for part in parts):
        raise DataError(f'--rows "{text}" is no list of numbers.', fix="Write --rows 20,100.")
    return sorted({int(part) for part in parts})


def cells(entry: Calibrated) -> tuple[str, ...]:
    """One line of the table."""
    return (
        f"{entry.rows:,}",
        str(entry.metrics),
        f"{100 * entry.false_alarms:.1f} %{'' if entry.kept else ' !'}",
        f"{100 * entry.low:.1f} … {100 * entry.high:.1f} %",
        f"{100 * entry.power:.0f} %",
        f"{100 * entry.dropped:.0f} %",
        f"{100 * entry.dropped_by_one:.0f} %",
    )


def to_table(found: Sequence[Calibrated]) -> list[str]:
    """The table for a terminal, within 80 columns."""
    lines = [HEAD, *(cells(entry) for entry in found)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]


def to_markdown(found: Sequence[Calibrated]) -> list[str]:
    """The same for a README."""
    lines = [HEAD, ["---:"] * len(HEAD), *(cells(entry) for entry in found)]
    return [f"| {' | '.join(line)} |" for line in lines]
