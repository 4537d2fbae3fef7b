"""The pictures of a study: the matrix of a strategy as a heat map, and the strategies' numbers with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup
from matplotlib.patches import Rectangle

from harness.report.charts import ACCENT, INK, draw, name_lines
from harness.report.strategies.tables import name_stages
from harness.report.wording import say_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from harness.report.facts import Facts

DARKEST = 0.7
"""How much of the accent a score of 100 has: the number on it must stay readable, on light paper and on dark."""
FULL = 100.0


def draw_matrix(line: Facts, tasks: Sequence[str]) -> Markup:
    """R as a heat map: a line for each stage, a column for each task, a frame where the task was taught."""
    matrix = line["matrix"]

    def paint(axes: Axes) -> None:
        for row, scores in enumerate(matrix):
            for column, score in enumerate(scores):
                shade = DARKEST * min(max(score, 0.0), FULL) / FULL
                place = (column - 0.5, row - 0.5)
                axes.add_patch(Rectangle(place, 1, 1, facecolor=ACCENT, alpha=shade, linewidth=0))
                axes.text(column, row, say_number(score), ha="center", va="center", color=INK)
        for column, row in enumerate(line["learned"]):
            frame = Rectangle((column - 0.48, row - 0.46), 0.96, 0.92, fill=False, edgecolor=INK, linewidth=1.6)
            axes.add_patch(frame)
        name_lines(axes, name_stages(line))
        axes.set_xlim(-0.5, len(tasks) - 0.5)
        axes.set_xticks(range(len(tasks)), tasks, rotation=30, ha="left", rotation_mode="anchor")
        axes.xaxis.tick_top()
        axes.tick_params(axis="x", labelcolor=INK, length=0)
        axes.grid(visible=False)
        axes.spines["bottom"].set_visible(False)

    return draw(f"R {line['name']}", 1.1 + 0.42 * len(matrix), paint)


def draw_measure(lines: Sequence[Facts], measure: str) -> Markup:
    """One measure of every strategy for which it is defined, with its interval."""
    shown = [line for line in lines if line["measures"][measure]["value"] is not None]

    def paint(axes: Axes) -> None:
        for place, line in enumerate(shown):
            found = line["measures"][measure]
            if None not in found["interval"]:
                axes.plot(found["interval"], [place, place], color=ACCENT, linewidth=2.2, solid_capstyle="round")
            axes.plot([found["value"]], [place], "o", markersize=6.5, color=ACCENT)
        axes.axvline(0, color=INK, linewidth=0.9)
        axes.margins(x=0.08)
        name_lines(axes, [line["name"] for line in shown])
        axes.set_xlabel(f"{measure} in points")

    return draw(measure, 0.75 + 0.38 * len(shown), paint)
