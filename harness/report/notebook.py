"""Runs, arms, comparisons and verdicts in a notebook: small pieces of HTML that look like the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.report.differences import shorten
from harness.report.facts import Facts, describe_comparison, describe_run, describe_verdict
from harness.report.templating import fill
from harness.report.wording import (
    column_titles,
    metric_cells,
    say_circumstances,
    say_headline,
    say_requirements,
    say_stored,
    what_to_do,
)

if TYPE_CHECKING:
    from harness.arm import Arm
    from harness.comparison import Comparison
    from harness.experiment import Run
    from harness.gate import Verdict

SHOWN = 3
"""How many outputs of an arm are shown."""


def show_run(run: Run) -> str:
    """Headline, table of metrics, requirements and the next step."""
    facts = describe_run(run)
    return _show_verdict(facts, facts["experiment"], facts["level"], what_to_do(facts))


def show_verdict(verdict: Verdict) -> str:
    """Headline, table of metrics and requirements."""
    return _show_verdict(describe_verdict(verdict), "verdict", None, f"Exit code {int(verdict.exit_code)}.")


def show_comparison(comparison: Comparison) -> str:
    """What it amounts to, and each metric's delta."""
    facts = describe_comparison(comparison)
    against, candidate = (
        reversed(comparison.title.split(" vs ")) if " vs " in comparison.title else ("other", "candidate")
    )
    reasons = f"; different {'; '.join(comparison.differences)}" if comparison.differences else ""
    return _fill(
        title=comparison.title,
        outcome=facts["outcome"],
        headline=f"{comparison.rows} rows, paired; {comparison.changed} outputs differ{reasons}"
        f"{say_circumstances(facts)}.",
        titles=column_titles(None, against, candidate),
        lines=[metric_cells(entry) for entry in facts["metrics"]],
    )


def show_arm(arm: Arm) -> str:
    """What made it, its scores, and its first outputs."""
    manifest = arm.manifest
    return _fill(
        title=f"{manifest.experiment} · {manifest.role}",
        headline=f"{manifest.model.name}, {manifest.method or 'as it came'}, {len(arm.rows)} rows, "
        f"weights {manifest.model.weights[:12]}.",
        titles=("metric", "score"),
        lines=[(name, f"{score:.2f}") for name, score in manifest.scores.items()],
        notes=[f"{row.id}: {shorten(row.output)}" for row in arm.rows[:SHOWN]],
    )


def _show_verdict(facts: Facts, title: str, level: float | None, next_step: str) -> str:
    comparison, *stored = facts["comparisons"]
    return _fill(
        title=title,
        outcome=facts["outcome"],
        headline=f"{say_headline(comparison, facts.get('headline'))} {say_requirements(facts)}",
        titles=column_titles(level),
        lines=[metric_cells(entry) for entry in comparison["metrics"]],
        findings=facts["requirements"],
        notes=[*(f"Warning: {said}" for said in facts.get("warnings", ())), *map(say_stored, stored), next_step],
    )


def _fill(**values: object) -> str:
    return fill("notebook.html", {"outcome": "", "findings": (), "notes": (), **values})
