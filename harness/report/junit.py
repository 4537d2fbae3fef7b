"""The verdict as properties of a test case, which pytest's own ``--junit-xml`` writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.report.facts import Facts


def list_properties(facts: Facts, number: int) -> list[tuple[str, object]]:
    """Names and values for the requirement with this number: what became of it, and every metric of the run."""
    found = facts["requirements"][number]
    comparison = facts["comparisons"][0]
    properties: list[tuple[str, object]] = [
        ("harness.experiment", facts["experiment"]),
        ("harness.outcome", facts["outcome"]),
        ("harness.rows", comparison["rows"]),
        ("harness.requirement", found["sentence"]),
        ("harness.status", found["status"]),
        ("harness.reason", found["reason"]),
    ]
    for entry in comparison["metrics"]:
        low, high = entry["interval"]
        values = {
            "base": entry["against"],
            "tuned": entry["candidate"],
            "delta": entry["delta"],
            "low": low,
            "high": high,
        }
        properties += [
            (f"harness.{entry['metric']}.{name}", value) for name, value in values.items() if value is not None
        ]
        properties.append((f"harness.{entry['metric']}.p", entry["p_adjusted"]))
    return properties
