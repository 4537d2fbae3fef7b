"""The report as one HTML file: it needs no network, runs no script, and loads nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.preparation import say_labels
from harness.report.charts import MOST_POINTS, draw_bars, draw_forest, draw_losses, draw_scatter
from harness.report.differences import mark_differences
from harness.report.tables import list_method_tables, pair_tables
from harness.report.templating import fill
from harness.report.wording import (
    LEGEND,
    column_titles,
    metric_cells,
    say_headline,
    say_requirements,
    say_stored,
    say_training,
    what_to_do,
)
from harness.tasks.labels import LabelReport

if TYPE_CHECKING:
    from markupsafe import Markup

    from harness.report.account import Account

SHOWN = 5
"""How many rows with gains are shown, and how many with losses."""
NO_PACKAGES = {"python", "platform", "device", "threads"}
"""What stands in an environment beside the versions of packages."""


def write_html(account: Account) -> str:
    """The whole report as HTML."""
    facts, comparison = account.facts, account.comparison
    environment = account.tuned.manifest.environment
    # What stands behind the plus names a build, which a package index does not serve under that name.
    pins = [f"{name}=={version.split('+')[0]}" for name, version in environment.items() if name not in NO_PACKAGES]
    return fill(
        "report.html",
        {
            "account": account,
            "facts": facts,
            "headline": say_headline(comparison, facts["headline"]),
            "requirements": say_requirements(facts),
            "next_step": what_to_do(facts),
            "titles": column_titles(facts["level"]),
            "lines": [metric_cells(entry) for entry in comparison["metrics"]],
            "legend": LEGEND,
            "forests": _draw_forests(account),
            "stored": [say_stored(other) for other in facts["comparisons"][1:]],
            **_draw_rows(account),
            "method_tables": list_method_tables(facts),
            "warnings": facts.get("warnings", ()),
            "tables": pair_tables(facts),
            "moved": [
                (moved, mark_differences(moved.row.references[0], moved.base, moved.tuned))
                for moved in account.moved_rows(SHOWN)
            ],
            **_describe_training(account),
            **_describe_speed(account),
            "pins": " ".join(pins),
            "settings": account.experiment.model_dump_json(indent=2),
            "evidence": _list_evidence(account),
        },
    )


def _draw_forests(account: Account) -> list[tuple[Markup, str]]:
    """A chart for each comparison that found differing outputs."""
    return [
        (
            draw_forest(comparison, account.facts["level"]),
            (
                f"{comparison['title']}: each metric's change with its interval, coloured where it is sure. Grey band: "
                f"too small for {comparison['rows']} rows to show."
            ),
        )
        for comparison in account.facts["comparisons"]
        if comparison["changed_outputs"]
    ]


def _draw_rows(account: Account) -> dict[str, object]:
    metric = account.metric
    if metric is None:
        return {"scatter": None}
    base, tuned = account.scores.T
    rose, fell = int((base < tuned).sum()), int((base > tuned).sum())
    side = "below" if metric in account.base.manifest.lower_is_better else "above"
    drawn = f" {MOST_POINTS} of them are drawn." if len(base) > MOST_POINTS else ""
    caption = f"Each point is a row; {side} the line tuned is better. Of {len(base)} rows {rose} rose and {fell} fell."
    return {"scatter": draw_scatter(base, tuned, metric), "scatter_caption": caption + drawn}


def _describe_training(account: Account) -> dict[str, object]:
    return {
        "training": " ".join(say_training(account.facts["training"])),
        "losses": draw_losses(account.losses) if account.losses else None,
        "losses_caption": "Training loss: mean, and range, of each stretch of steps.",
        "labels": say_labels(LabelReport(**account.facts["labels"])),
    }


def _describe_speed(account: Account) -> dict[str, object]:
    seconds: dict[str, float] = account.facts["seconds"]
    rates = [
        f"{role} {len(account.rows) / seconds[role]:.1f} rows/s" for role in ("base", "tuned") if seconds.get(role)
    ]
    return {
        "speed": f"Predicted and scored: {', '.join(rates) or 'not measured'}.",
        "seconds": draw_bars(seconds, "seconds"),
    }


def _list_evidence(account: Account) -> dict[str, str]:
    """Hashes and versions by which a second run can be told from this one."""
    base, tuned = account.base.manifest, account.tuned.manifest
    return {
        "rows": f"{len(account.rows)}, sha256 {base.rows}",
        "training rows": f"sha256 {tuned.train_rows}",
        "weights of base": f"{base.model.name}, sha256 {base.model.weights}",
        "weights of tuned": f"{tuned.method}, sha256 {tuned.model.weights}",
        "outputs": f"sha256 of base {account.base.outputs_hash[:16]}…, of tuned {account.tuned.outputs_hash[:16]}…",
        "generation": ", ".join(f"{name} {value}" for name, value in tuned.generation.items()),
        "environment": ", ".join(f"{name} {value}" for name, value in tuned.environment.items()),
        "metrics": " · ".join(tuned.metrics.values()),
    }
