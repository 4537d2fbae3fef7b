"""What a new baseline would change: scores, circumstances, and the rows that moved most, with their texts."""

from __future__ import annotations

from dataclasses import dataclass

from harness.arm import Arm
from harness.baselines.store import Baseline
from harness.comparison import Comparison, align_metrics, compare
from harness.config import GateSettings
from harness.printable import printable

SHOWN = 3
"""How many rows with gains are shown, and how many with losses."""
LONGEST = 300
"""Characters of a text that are shown."""


@dataclass(frozen=True, kw_only=True)
class MovedRow:
    """A row whose output changed: its score's delta, and both texts."""

    id: str
    metric: str
    delta: float
    stored: str
    new: str


@dataclass(frozen=True, kw_only=True)
class Review:
    """A stored arm beside the one that would take its place.

    Args:
        comparison: the new arm against the stored one.
        moved: the rows with the largest losses and gains of the first metric, the largest loss first.
    """

    comparison: Comparison
    moved: tuple[MovedRow, ...]


def review(stored: Baseline, new: Baseline, settings: GateSettings) -> tuple[Review, ...]:
    """Compare base and tuned with what is stored.

    Args:
        stored: what is stored.
        new: what would take its place.
        settings: level, flips, and the smallest effect that matters.
    """
    pairs = (
        ("base", (new.base,), (stored.base,)),
        ("tuned", (new.tuned, *new.others), (stored.tuned, *stored.others)),
    )
    reviews = []
    for role, ours, theirs in pairs:
        comparison = compare(ours, theirs, settings, title=f"new {role} vs stored {role}")
        moved = _find_moved(comparison, ours[0], theirs[0]) if comparison.metrics else ()
        reviews.append(Review(comparison=comparison, moved=moved))
    return tuple(reviews)


def say_review(found: Review) -> list[str]:
    """The review as lines of text."""
    comparison = found.comparison
    lines = [f"{comparison.title}: {comparison.outcome}"]
    lines += [f"  different {difference}" for difference in comparison.differences]
    if comparison.metrics:
        lines[0] += f"; {comparison.changed} of {comparison.rows} outputs changed"
    lines += [
        f"  {moved}  p {entry.p:.4f}"
        for entry, moved in zip(comparison.metrics, align_metrics(comparison.metrics), strict=True)
    ]
    lines += [f"  changed since: {', '.join(comparison.circumstances)}"] * bool(comparison.circumstances)
    for row in found.moved:
        lines += [
            f"  {row.id}  {row.metric} {row.delta:+.2f}",
            f"    stored: {_shorten(row.stored)}",
            f"    new:    {_shorten(row.new)}",
        ]
    return lines


def _find_moved(comparison: Comparison, new: Arm, stored: Arm) -> tuple[MovedRow, ...]:
    metric = comparison.metrics[0].metric
    changed = [
        MovedRow(
            id=one.id,
            metric=metric,
            delta=one.scores[metric] - other.scores[metric],
            stored=other.output,
            new=one.output,
        )
        for one, other in zip(new.rows, stored.rows, strict=True)
        if one.output != other.output
    ]
    order = sorted(changed, key=lambda row: row.delta)
    return tuple(order if len(order) <= 2 * SHOWN else [*order[:SHOWN], *order[-SHOWN:]])


def _shorten(text: str) -> str:
    """One line: its breaks and tabs are spelled out as well, for two texts may differ by those alone."""
    shown = printable(text[:LONGEST]).replace("\n", "\\n").replace("\t", "\\t")
    return shown + "…" * (len(text) > LONGEST)
