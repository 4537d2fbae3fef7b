"""``harness bench``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from harness.cli.say import say
from harness.errors import SettingsError

ROOM = 1000
"""Columns of characters in which a table has all the room that it wants."""


@click.command("bench")
@click.option("--model", default="tiny-t5", show_default=True, help="t5-small (its shape), tiny-t5, or a folder.")
@click.option("--engine", "engines", multiple=True, default=("graph",), show_default=True, help="Beside transformers.")
@click.option("--batch", "batches", type=click.IntRange(1), multiple=True, default=(1, 8), show_default=True)
@click.option("--beams", type=click.IntRange(1, 256), multiple=True, default=(1, 4), show_default=True)
@click.option(
    "--dtype", "dtypes", type=click.Choice(["float32", "bfloat16"]), multiple=True, default=("float32",),
    show_default=True,
)  # fmt: skip
@click.option("--source", "lengths", type=click.IntRange(1), multiple=True, default=(512,), help="Tokens of a source.")
@click.option("--tokens", type=click.IntRange(2), default=40, show_default=True, help="New tokens of each row.")
@click.option("--rounds", type=click.IntRange(1), default=7, show_default=True, help="Each engine once in each.")
@click.option("--baselines", type=click.Path(path_type=Path), default="baselines", show_default=True)
@click.option(
    "--page", type=click.Path(path_type=Path), help="Measure nothing: write what is stored as Markdown and charts."
)
@click.option("--store", "keep", is_flag=True, help="Keep this session as the one to judge later ones against.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def bench_command(
    context: click.Context,
    *,
    model: str,
    engines: tuple[str, ...],
    batches: tuple[int, ...],
    beams: tuple[int, ...],
    dtypes: tuple[str, ...],
    lengths: tuple[int, ...],
    tokens: int,
    rounds: int,
    baselines: Path,
    page: Path | None,
    keep: bool,
    as_json: bool,
) -> None:
    """Time engines beside plain generate, in turns, over every combination of what is named.

    What is judged is how many times faster an engine is than the reference in this session, against the same number of
    the session that is stored for this device. With --page nothing is measured.

    \b
    Exit codes:
      0  no engine has become slower, or the session was stored
      1  an engine is slower than the stored session allows
      3  undecided: too few rounds
      4  not comparable: nothing is stored for this model and device, or not this case
    """  # noqa: D301 - click's mark for lines to leave as they are
    from harness.benchmark.cases import list_cases, make_model
    from harness.benchmark.measure import measure_case
    from harness.benchmark.record import judge, make_record, store
    from harness.benchmark.roofline import measure_bandwidth
    from harness.cli.run import quiet_libraries
    from harness.device import choose_device
    from harness.gate import EXIT_CODES
    from harness.generation import AUTO, ENGINES

    quiet_libraries()
    if page is not None:
        from harness.benchmark.page import write_page

        say("\n".join(f"Wrote {path}" for path in write_page(baselines, page)), err=True)
        return
    for engine in engines:
        ENGINES.require(engine)
    if AUTO in engines:
        raise SettingsError(f'"{AUTO}" only chooses among engines.', fix="Name the engines that are to be timed.")
    made = make_model(model)
    timed = []
    for case in list_cases(batches, beams, dtypes, lengths, tokens):
        say(f"batch {case.batch}, {case.beams} beams, {case.dtype}, {case.source_length} tokens", err=True)
        timed += measure_case(made, case, engines, rounds=rounds)
    record = make_record(model, timed, measure_bandwidth(choose_device()))
    if as_json:
        say(json.dumps(record, indent=2, sort_keys=True))
    else:
        show(record)
    if keep:
        say(f"Stored in {store(baselines, record)}", err=True)
        return
    status, lines = judge(baselines, record)
    say("\n".join(lines), err=True)
    context.exit(EXIT_CODES[status])


def show(record: dict[str, Any]) -> None:
    """Print a session as a table; what is no terminal, as a file, has room for each case in one line."""
    from rich.console import Console

    from harness.benchmark.table import shorten, tabulate_session
    from harness.report.drawing import draw_table

    console = Console(width=None if sys.stdout.isatty() else ROOM)
    table, keys = shorten(tabulate_session(record))
    console.print(draw_table(table, console, keys=keys))
    say(f"{record['environment']['threads']} threads; copies at {record['bandwidth'] / 1e9:.1f} GB/s; medians of "
        "rounds taken in turns")  # fmt: skip
