"""The verdict as Markdown, for a pull request."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from harness.experiment import say_labels, say_losses
from harness.report.wording import MARKS, column_titles, metric_cells, say_stored, what_to_do

if TYPE_CHECKING:
    from harness.experiment import Run


SHOWN = 3
"""How many rows with gains are shown, and how many with losses."""
LONGEST = 300
"""Characters of a text that are shown."""
LEGEND = (
    "p is two-sided and adjusted for all metrics (sign flips, max-T). Each interval is of its metric alone. "
    "*Detectable* is the smallest true difference that these rows show with 80 % power. All in percent points."
)


def write_markdown(run: Run) -> str:
    """The whole report as Markdown."""
    comparison = run.verdict.comparisons.tuned_base
    manifest = run.tuned.manifest
    lines = [
        f"# {run.experiment.name}: {run.verdict.outcome}",
        "",
        f"Tuned against base, {comparison.rows} rows, paired; {comparison.changed} outputs differ.",
        "",
        *_table(column_titles(run), [metric_cells(entry) for entry in comparison.metrics]),
        "",
        LEGEND,
        "",
        "## Requirements",
        "",
        *[
            f"- {MARKS[found.status]} {_escape(found.sentence)}: **{found.status}** ({_escape(found.reason)})"
            for found in run.verdict.findings
        ],
        "",
        "## Stored baseline",
        "",
        *([f"- {_escape(say_stored(other))}" for other in run.verdict.comparisons.stored] or ["None is stored."]),
        "",
        "## Rows that moved most",
        "",
        *_say_rows(run),
        "## How it came about",
        "",
        f"- Labels: {say_labels(run.labels)}.",
        f"- Evaluation: {run.base.manifest.inputs_cut} of {len(run.base.rows)} inputs were cut.",
        f"- Training: {_say_training(run)}",
        f"- Model: `{_escape(manifest.model.name)}`, {manifest.model.parameters:,} parameters; {_say_weights(run)}",
        f"- Environment: {', '.join(f'{name} {value}' for name, value in manifest.environment.items())}.",
        f"- Seconds: {', '.join(f'{stage} {seconds:.1f}' for stage, seconds in run.seconds.items())}.",
        "",
        "Signatures:",
        "",
        *[f"- `{signature}`" for signature in manifest.metrics.values()],
        "",
        what_to_do(run),
    ]
    return "\n".join(lines) + "\n"


def _say_rows(run: Run) -> list[str]:
    """The rows with the largest gains and the largest losses of the first metric, with their texts."""
    comparison = run.verdict.comparisons.tuned_base
    if not comparison.metrics:
        return []
    metric = comparison.metrics[0].metric
    deltas = comparison.column(metric).tolist()
    order = sorted(range(len(deltas)), key=deltas.__getitem__)
    lines = []
    for number in dict.fromkeys([*order[: -SHOWN - 1 : -1], *order[:SHOWN]]):
        base, tuned = run.base.rows[number], run.tuned.rows[number]
        target = next((row.target for row in run.splits.eval if row.id == base.id), "")
        lines.append(f"- `{_escape(base.id)}`, {metric} {deltas[number]:+.2f}")
        for name, text in (("target", target), ("base", base.output), ("tuned", tuned.output)):
            lines.append(f"  - {name}: {_escape(text[:LONGEST])}")
    return [*lines, ""]


def _say_training(run: Run) -> str:
    return f"{len(run.splits.train)} rows, {say_losses(run.losses)}, {run.trainable_parameters:,} trainable parameters."


def _say_weights(run: Run) -> str:
    base, tuned = (arm.manifest.model.weights[:12] for arm in (run.base, run.tuned))
    return f"weights of base `{base}`, of tuned `{tuned}`."


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    header = list(header)
    rule = ["---", *["---:"] * (len(header) - 1)]
    return [f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)]


def _escape(text: str) -> str:
    """Texts of models and data must not become markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|").replace("`", "'").replace("\n", " ")
