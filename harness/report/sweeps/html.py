"""A sweep as one HTML file: it needs no network, runs no script, and loads nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.report.sweeps.tables import (
    CELLS,
    LEGEND,
    list_notes,
    list_texts,
    say_sweep,
    tabulate_cells,
    tabulate_sweep,
)
from harness.report.templating import fill

if TYPE_CHECKING:
    from harness.report.facts import Facts


def write_html(facts: Facts, settings: str) -> str:
    """The whole report as HTML.

    Args:
        facts: of the sweep.
        settings: what was asked for, as JSON.
    """
    return fill(
        "sweep.html",
        {
            "facts": facts,
            "tone": "bad" if facts["failed"] else "good",
            "headline": say_sweep(facts),
            "notes": list_notes(facts),
            "tables": [(table, list_texts(table)) for table in tabulate_sweep(facts)],
            "cells": [tabulate_cells(task) for task in facts["tasks"]],
            "place": CELLS,
            "legend": LEGEND,
            "settings": settings,
        },
    )
