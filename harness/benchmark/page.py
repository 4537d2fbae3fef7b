"""The page of what ``harness bench`` stored: a table and a roofline for each model and device."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from harness.atomic import write_whole
from harness.baselines.store import BENCHMARKS
from harness.benchmark.record import Record, read_record
from harness.benchmark.table import tabulate_session
from harness.errors import UsageError
from harness.report.markdown import write_table

HEAD = """# Engines, measured

Made from the sessions under `{folder}` by `harness bench --page {page}`: a device or a case without a stored session
does not appear.

Every engine generates the batch once, untimed, to warm up; then each round times all engines in turns, with the device
waited for. Numbers are medians of the rounds, in brackets the interval that holds the true median with the coverage
that stands above the table. *Times* is the reference's time over the engine's own, round by round: the number that is
judged, for it survives a noisy machine. *Roofline* is the share that the bytes of a step, read at the bandwidth of a
copy, are of the time that a step took; `harness.benchmark.roofline` has the formula. *Memory* is the peak above what
was taken before, and *equal* counts the rows whose tokens are those of the reference.
"""


def write_page(baselines: Path, page: Path) -> list[Path]:
    """Write the page, and beside it a chart for each stored session.

    Args:
        baselines: the folder of stored arms, which has the sessions as well.
        page: the Markdown file.

    Returns:
        All files that were written, the page first.

    Raises:
        UsageError: nothing is stored.
        BaselineError: a stored session cannot be read.
    """
    folder = baselines / BENCHMARKS
    files = sorted(folder.glob("*.json"))
    if not files:
        raise UsageError(f"{folder} holds no session.", fix="Measure one: harness bench --store.")
    written = [page]
    parts = [HEAD.format(folder=folder.as_posix(), page=page.as_posix())]
    for file in files:
        record = read_record(file)
        chart = page.with_name(f"{page.stem}-{file.stem}.svg")
        draw_roofline(record, chart)
        written.append(chart)
        parts.append(_describe(record, chart))
    write_whole(page, "\n".join(parts).encode("utf-8", "replace"))
    return written


def step_bytes(record: Record, entry: Mapping[str, Any]) -> float:
    """The bytes that a step of this case must move: what the share of the roofline was computed from."""
    moved: float = entry["share_of_roofline"] * record["bandwidth"] * entry["seconds_per_step"]["median"]
    return moved


def _describe(record: Record, chart: Path) -> str:
    environment, results = record["environment"], record["results"]
    coverage = min(entry["ratio"]["coverage"] for entry in results)
    rounds = sorted({entry["rounds"] for entry in results})
    versions = ", ".join(f"{name} {environment[name]}" for name in ("torch", "transformers"))
    said = (
        f"Threads: {environment['threads']}, {versions}; copies at {record['bandwidth'] / 1e9:.1f} GB/s; "
        f"{' or '.join(map(str, rounds))} rounds, coverage {100 * coverage:.0f} %."
    )
    table = tabulate_session(record)
    lines = write_table(table.columns, (map(str, line) for line in table.rows))
    return "\n".join([f"## {table.title}", "", said, "", *lines, "", f"![bytes and time of a step]({chart.name})", ""])


def draw_roofline(record: Record, path: Path) -> None:
    """Draw the time of a step over the bytes that it must move, and the line that the memory allows no step to pass."""
    by_engine: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for entry in record["results"]:
        by_engine[entry["engine"]].append(entry)
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for engine, entries in sorted(by_engine.items()):
        steps = [entry["seconds_per_step"] for entry in entries]
        axes.errorbar(
            [step_bytes(record, entry) / 1e6 for entry in entries],
            [1000 * step["median"] for step in steps],
            yerr=_whiskers(steps),
            fmt="o",
            capsize=3,
            label=engine,
        )
    moved = [step_bytes(record, entry) for entry in record["results"]]
    ends = [min(moved) / 2, max(moved) * 2]
    roof = f"roofline: copies at {record['bandwidth'] / 1e9:.1f} GB/s"
    axes.plot([end / 1e6 for end in ends], [1000 * end / record["bandwidth"] for end in ends], "k:", label=roof)
    axes.set(xscale="log", yscale="log", xlabel="MB that a step must move", ylabel="ms a step")
    axes.set_title(f"{record['model']} on {record['environment']['device']}")
    axes.legend()
    # Equal numbers are to be an equal file.
    with mpl.rc_context({"svg.hashsalt": "roofline"}):
        figure.savefig(path, metadata={"Date": None})


def _whiskers(steps: Sequence[Mapping[str, float]]) -> list[list[float]]:
    """How far each interval reaches below and above its median, in ms."""
    below = [1000 * (step["median"] - step["low"]) for step in steps]
    return [below, [1000 * (step["high"] - step["median"]) for step in steps]]
