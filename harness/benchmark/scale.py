"""How time and memory grow with the rows: a chart of the numbers that ``harness.benchmark.replay`` measures.

``python -m harness.benchmark.scale --chart docs/scale.svg`` measures each size in a process of its own, one after the
other, and fails where memory or time grows faster than promised.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

SIZES = (10_000, 100_000, 1_000_000)
MOST_MEMORY = 1.3
"""How much more memory than the smallest size another may take."""
MOST_TIME = 1.3
"""How much more time a row than of the smallest size another may take; fixed costs make the small ones dearer."""
Size = dict[str, Any]
"""See `harness.benchmark.replay.Measured`."""


def measure(rows: int) -> Size:
    """What so many rows take, in a process of their own."""
    command = [sys.executable, "-m", "harness.benchmark.replay", str(rows)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 - this program
    size: Size = json.loads(done.stdout)
    return size


def find_faults(sizes: Sequence[Size]) -> list[str]:
    """Where memory or time grows faster than promised, beginning with the smallest size."""
    first, *others = sorted(sizes, key=lambda size: size["rows"])
    faults = []
    for size in others:
        memory = size["peak_bytes"] / first["peak_bytes"]
        if memory > MOST_MEMORY:
            faults.append(f"{size['rows']:,} rows take {memory:.2f} times the memory of {first['rows']:,}")
        time = size["seconds"] / size["rows"] * first["rows"] / first["seconds"]
        if time > MOST_TIME:
            faults.append(f"a row of {size['rows']:,} takes {time:.2f} times the time of a row of {first['rows']:,}")
    return faults


def draw(sizes: Sequence[Size], path: Path) -> None:
    """Draw memory and time over the rows."""
    import matplotlib as mpl  # noqa: PLC0415 - measuring does without
    from matplotlib.figure import Figure  # noqa: PLC0415

    rows = [size["rows"] for size in sizes]
    figure = Figure(figsize=(8, 3), layout="constrained")
    memory, time = figure.subplots(1, 2)
    memory.plot(rows, [size["peak_bytes"] / 1e6 for size in sizes], marker="o")
    memory.axhline(MOST_MEMORY * sizes[0]["peak_bytes"] / 1e6, linestyle=":", color="gray", label="limit")
    memory.set(xscale="log", xlabel="evaluated rows", ylabel="peak memory in MB", ylim=(0, None))
    memory.legend()
    time.plot(rows, [size["seconds"] for size in sizes], marker="o")
    time.set(xscale="log", yscale="log", xlabel="evaluated rows", ylabel="processor time in s")
    # Equal numbers are to be an equal file.
    with mpl.rc_context({"svg.hashsalt": "scale"}):
        figure.savefig(path, metadata={"Date": None})


@click.command()
@click.option("--rows", "sizes", type=int, multiple=True, default=SIZES, show_default=True, help="A size to measure.")
@click.option(
    "--chart", type=click.Path(path_type=Path), help="Draw the sizes into this file, their numbers beside it."
)
def main(sizes: tuple[int, ...], chart: Path | None) -> None:
    """Measure how time and memory grow with the rows."""
    measured = []
    for rows in sorted(sizes):
        measured.append(measure(rows))
        click.echo(json.dumps(measured[-1]))
    if chart is not None:
        draw(measured, chart)
        chart.with_suffix(".json").write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
    if faults := find_faults(measured):
        raise click.ClickException("; ".join(faults) + ".")


if __name__ == "__main__":
    main()
