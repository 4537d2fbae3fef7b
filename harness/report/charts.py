"""The charts of the HTML report: SVG by matplotlib, narrow enough for a phone, coloured by the page's own CSS."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from harness.report.wording import is_loss

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from harness.report.facts import Facts

WIDTH = 4.6
"""Inches, of 72 units each: at this width its texts are readable on a phone."""

VARIABLES = ("ink", "muted", "line", "gain", "loss", "accent", "band")
"""The colours of the page's CSS, where each has one value for light and one for dark."""
# Matplotlib wants colours: each of these stands for one of them until the figure is drawn.
INK, MUTED, LINE, GAIN, LOSS, ACCENT, BAND = PLACEHOLDERS = tuple(f"#0102{n:02d}" for n in range(len(VARIABLES)))
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # texts stay texts
    "font.size": 10,
    "text.color": INK,
    "text.parse_math": False,  # a name may hold a dollar sign
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "figure.facecolor": "none",
    "figure.constrained_layout.use": True,
}
MOST_POINTS = 1_500
"""More would make the page heavy and the chart no clearer."""
STRETCHES = 80
"""The steps of a training are averaged into at most so many points."""


def draw_forest(comparison: Facts, level: float) -> Markup:
    """The delta of each metric with its interval, over the band in which these rows can show nothing.

    What is coloured differs from 0 at ``level``, all metrics tested together.
    """
    metrics: Sequence[Facts] = comparison["metrics"]

    def paint(axes: Axes) -> None:
        for place, entry in enumerate(metrics):
            colour = MUTED if entry["p_adjusted"] > level else LOSS if is_loss(entry) else GAIN
            sure = entry["interval"][0] is not None
            if (band := entry["smallest_detectable"]) is not None:
                axes.barh(place, 2 * band, left=-band, height=0.62, color=BAND, linewidth=0)
            if sure:
                axes.plot(entry["interval"], [place, place], color=colour, linewidth=2.2, solid_capstyle="round")
            face = colour if sure else "none"
            axes.plot([entry["delta"]], [place], "o", markersize=6.5, markeredgecolor=colour, markerfacecolor=face)
        axes.axvline(0, color=INK, linewidth=0.9)
        axes.margins(x=0.08)
        name_lines(axes, [entry["metric"] for entry in metrics])
        axes.set_xlabel(f"delta in points, {comparison['title']}")

    return draw(comparison["title"], 0.75 + 0.38 * len(metrics), paint)


def draw_scatter(base: ArrayLike, tuned: ArrayLike, metric: str) -> Markup:
    """Each row's score by base and by tuned; above the line tuned is better."""
    points = np.array([base, tuned], dtype=np.float64)
    # Drawn evenly from all rows, so that what is shown is shaped like the whole.
    points = points[:, np.linspace(0, points.shape[1] - 1, min(points.shape[1], MOST_POINTS)).round().astype(int)]
    low, high = min(0.0, float(points.min())), max(1.0, float(points.max()))
    deltas = points[1] - points[0]

    def paint(axes: Axes) -> None:
        axes.plot([low, high], [low, high], color=INK, linewidth=0.9)
        for chosen, colour in ((deltas == 0, MUTED), (deltas > 0, GAIN), (deltas < 0, LOSS)):
            axes.plot(*points[:, chosen], "o", markersize=4, markeredgewidth=0, color=colour, alpha=0.6)
        axes.margins(0.03)
        axes.set_xlabel(f"{metric} of base")
        axes.set_ylabel(f"{metric} of tuned")

    return draw("rows", 3.6, paint)


def draw_losses(losses: Sequence[float]) -> Markup:
    """The training loss over the steps: mean and range of each stretch of steps."""
    stretches = np.array_split(np.array(losses, dtype=np.float64), min(STRETCHES, len(losses)))
    ends = np.cumsum([len(part) for part in stretches])

    def paint(axes: Axes) -> None:
        lowest, highest = ([float(end(part)) for part in stretches] for end in (np.min, np.max))
        axes.fill_between(ends, lowest, highest, color=BAND, linewidth=0)
        axes.plot(ends, [part.mean() for part in stretches], color=ACCENT, linewidth=1.8, marker="o", markersize=2)
        axes.set_xlim(0, 1.02 * len(losses))
        axes.set_ylim(min(0.0, *losses), 1.05 * max(losses) or 1.0)
        axes.set_xlabel("step")
        axes.set_ylabel("loss, nats per token")

    return draw("losses", 3.6, paint)


def draw_bars(values: dict[str, float], unit: str) -> Markup:
    """A horizontal bar for each name."""

    def paint(axes: Axes) -> None:
        axes.barh(range(len(values)), list(values.values()), height=0.55, color=ACCENT)
        name_lines(axes, list(values))
        axes.set_xlabel(unit)

    return draw(unit, 0.75 + 0.34 * len(values), paint)


def name_lines(axes: Axes, names: Sequence[str]) -> None:
    """One line a name, the first on top."""
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", labelcolor=INK, length=0)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)


def draw(salt: str, height: float, paint: Callable[[Axes], None]) -> Markup:
    """A painted figure as an ``<svg>`` element whose colours are the page's; the same input gives the same text."""
    text = io.StringIO()
    with mpl.rc_context({**STYLE, "svg.hashsalt": salt}):
        figure = Figure(figsize=(WIDTH, height))
        paint(figure.add_subplot())
        figure.savefig(text, format="svg", metadata={"Date": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<defs>\s*<style.*?</style>\s*</defs>", "", svg, flags=re.DOTALL)
    # Ids of groups are the same in every figure, and nothing refers to them.
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    for colour, variable in zip(PLACEHOLDERS, VARIABLES, strict=True):
        svg = svg.replace(colour, f"var(--{variable})")
    return Markup(svg)  # noqa: S704 - matplotlib escapes its texts
