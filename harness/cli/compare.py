"""``harness compare``."""

from __future__ import annotations

from pathlib import Path

import click

from harness.arm import Arm
from harness.cli.number import NumberRange
from harness.cli.say import say
from harness.comparison import align_metrics, compare, say_power
from harness.config import GateSettings
from harness.gate import OUTCOME_CODES

FOLDER = click.Path(path_type=Path)
LEVEL = NumberRange(0, 0.5, min_open=True, max_open=True)
EFFECT = NumberRange(min=0.001)


@click.command("compare")
@click.argument("candidate", type=FOLDER)
@click.argument("against", type=FOLDER)
@click.option("--level", type=LEVEL, default=0.05, show_default=True, help="Share of false alarms, over all metrics.")
@click.option("--smallest-effect", type=EFFECT, default=1.0, show_default=True, help="In percent points.")
@click.pass_context
def compare_command(
    context: click.Context, candidate: Path, against: Path, level: float, smallest_effect: float
) -> None:
    """Compare two stored arms, row by row.

    CANDIDATE and AGAINST are folders of arms, as runs/NAME/TIME/tuned or baselines/NAME/tuned.

    \b
    Exit codes:
      0  improved: a metric rose detectably, and none fell
      1  regressed: a metric fell detectably
      3  inconclusive: too few rows for the smallest effect
      4  not comparable: other rows, settings or metrics; they are named
      5  identical: all outputs are equal
      7  no change: a difference that matters is excluded
    """  # noqa: D301 - click's mark for lines to leave as they are
    settings = GateSettings(level=level, smallest_effect=smallest_effect)
    found = compare(Arm.read(candidate), Arm.read(against), settings, title=f"{candidate} vs {against}")
    say(f"{found.title}: {found.outcome}")
    for difference in found.differences:
        say(f"  different {difference}")
    if found.metrics:
        say(f"  {say_power(found, smallest_effect)}; {found.changed} outputs changed")
    for entry, moved in zip(found.metrics, align_metrics(found.metrics), strict=True):
        say(f"  {moved}  ({entry.low:.2f} to {entry.high:.2f})  p {entry.p:.4f}, of a loss {entry.p_worse:.4f}")
    if found.circumstances:
        say(f"  also different: {', '.join(found.circumstances)}")
    context.exit(OUTCOME_CODES[found.outcome])
