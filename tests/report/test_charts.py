"""Charts: the numbers are where they belong, names are escaped, sizes are bounded."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from harness.report.charts import MOST_POINTS, draw_bars, draw_forest, draw_losses, draw_scatter

SVG = "{http://www.w3.org/2000/svg}"


def comparison(**changes: object) -> dict[str, Any]:
    entry = {"metric": "rouge1", "delta": 2.0, "interval": [1.0, 3.0], "p_adjusted": 0.01, "smallest_detectable": 1.5}
    return {"title": "tuned vs base", "metrics": [{**entry, **changes}]}


def horizontal_lines(svg: str, colour: str) -> list[tuple[float, float]]:
    """Ends of the lines that run from left to right, in this colour."""
    found = re.findall(rf'<path d="M ([\d.]+) ([\d.]+) \nL ([\d.]+) \2 \n"[^>]*stroke: var\(--{colour}\)', svg)
    return [(float(left), float(right)) for left, _, right in found]


def test_forest_draws_interval_and_band_to_scale() -> None:
    """The interval is 2 points long and the band 3: so are they in the chart, and both are where they should be."""
    svg = str(draw_forest(comparison(), 0.05))
    ((low, high),) = horizontal_lines(svg, "gain")
    band = re.search(r'd="M ([\d.]+) [\d.]+ \nL ([\d.]+) [^"]*"[^>]*fill: var\(--band\)', svg)
    assert band is not None
    left, right = float(band[1]), float(band[2])
    assert (right - left) / (high - low) == pytest.approx(3 / 2, abs=1e-3)
    point = (high - low) / 2
    assert (low - left) / point == pytest.approx(1.0 + 1.5, abs=1e-3)


@pytest.mark.parametrize(
    ("changes", "colour"),
    [({}, "gain"), ({"delta": -2.0, "interval": [-3.0, -1.0]}, "loss"), ({"p_adjusted": 0.06}, "muted")],
)
def test_forest_colours_what_is_sure(changes: dict[str, object], colour: str) -> None:
    """Green is a gain that the test found, red a loss, and what it did not find has neither colour."""
    svg = str(draw_forest(comparison(**changes), 0.05))
    assert len(horizontal_lines(svg, colour)) == 1
    assert not any(horizontal_lines(svg, other) for other in {"gain", "loss", "muted"} - {colour})


def test_forest_invents_no_interval() -> None:
    """Rows too few for an interval give a hollow point and nothing else."""
    svg = str(draw_forest(comparison(interval=[None, None], smallest_detectable=None), 0.05))
    assert not horizontal_lines(svg, "gain")
    assert "var(--band)" not in svg
    assert "nan" not in svg


def test_names_are_escaped_and_never_read_as_mathematics() -> None:
    """A metric named like markup or like TeX is drawn as it is written."""
    name = "<script>$x$ & \\alpha"
    svg = str(draw_forest(comparison(metric=name), 0.05))
    assert name in [text.text for text in ET.fromstring(svg).iter(f"{SVG}text")]  # noqa: S314 - made by this test
    assert "<script" not in svg


def test_same_input_gives_the_same_text() -> None:
    """No ids by chance, no date: a report that is made anew differs in nothing."""
    for draw in (
        lambda: draw_forest(comparison(), 0.05),
        lambda: draw_losses([3.0, 2.0]),
        lambda: draw_scatter([1.0], [2.0], "m"),
        lambda: draw_bars({"a": 1.0}, "seconds"),
    ):
        assert draw() == draw()


def test_charts_of_many_values_stay_small() -> None:
    """A hundred thousand steps and 11,334 rows are drawn in a few hundred kilobytes at most."""
    rng = np.random.default_rng(0)
    scores = rng.uniform(0, 100, (2, 11_334))
    assert len(draw_losses(rng.uniform(1, 2, 100_000).tolist())) < 50_000
    scatter = str(draw_scatter(scores[0].tolist(), scores[1].tolist(), "m"))
    assert len(scatter) < 400_000
    assert scatter.count("fill-opacity: 0.6") in range(MOST_POINTS, MOST_POINTS + 5)


@pytest.mark.parametrize("losses", [[1.0], [0.0, 0.0], [5.0, 1.0, -2.0]])
def test_loss_curves_of_few_or_odd_steps(losses: list[float]) -> None:
    """One step, a loss of zero, a negative one: a chart all the same, and no warning."""
    assert "NaN" not in draw_losses(losses)
