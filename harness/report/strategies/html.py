"""A study as one HTML file: it needs no network, runs no script, and loads nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.report.strategies.charts import draw_matrix, draw_measure
from harness.report.strategies.tables import LEGEND, say_single, tabulate_measures, tabulate_study
from harness.report.templating import fill, tone

if TYPE_CHECKING:
    from harness.report.facts import Facts

CHARTS = ("average score", "forgetting")


def write_html(facts: Facts, settings: str) -> str:
    """The whole report as HTML.

    Args:
        facts: of the study.
        settings: what was run, as JSON.
    """
    tasks = [task["name"] for task in facts["tasks"]]
    several = facts["contest"] is not None
    tones = {tone(found["status"]) for line in facts["lines"] for found in line["requirements"]}
    return fill(
        "strategies.html",
        {
            "facts": facts,
            "tone": next(one for one in ("bad", "doubt", "good") if one in tones),
            "headline": f"{len(tasks)} tasks on {facts['model']}: {', '.join(tasks)}",
            "tables": tabulate_study(facts) if several else (),
            "charts": [
                (draw_measure(facts["lines"], name), f"{name} of each strategy, with its interval.")
                for name in CHARTS
                if several and any(line["measures"][name]["value"] is not None for line in facts["lines"])
            ],
            "single": say_single(facts),
            "lines": [(line, draw_matrix(line, tasks), tabulate_measures(line)) for line in facts["lines"]],
            "legend": LEGEND,
            "seeds": ", ".join(map(str, facts["seeds"])),
            "settings": settings,
        },
    )
