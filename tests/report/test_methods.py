"""The table of methods: what each brought, what it took, and which differ."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.experiment import Run
from harness.report.methods import PAIR_TITLES, TITLES, say_bytes, tabulate_methods
from harness.tuning import Cost
from tests.runs import make_run


def make_method(name: str, tuned: list[float], cost: Cost) -> Run:
    """A run by this method, whose base scores 1 in each row."""
    run = make_run([1.0] * 12, tuned)
    return replace(run, experiment=run.experiment.override({"method": name, "gate.flips": 1000}), cost=cost)


def test_each_method_has_its_line_and_each_pair() -> None:
    """Scores, parameters, seconds and bytes stand beside each method; of two pairs alike none is better."""
    runs = [
        make_method("full", [9.0, 8.0, 9.5] * 4, Cost(peak_bytes=12_300_000, stored_bytes=6_000_000)),
        make_method("prompt", [1.5, 2.0, 1.0] * 4, Cost(peak_bytes=0, stored_bytes=0)),
    ]
    methods, pairs, skipped = tabulate_methods(runs, {"rlhf": "It cannot | be."})
    full, prompt = (dict(zip(TITLES, line, strict=True)) for line in methods.rows)
    assert methods.title == "summarization, m: rouge1, 12 rows"
    assert (full["method"], full["base"], full["tuned"], full["delta"]) == ("full", "1.00", "8.83", "+7.83")
    assert (full["trainable"], full["seconds"], full["peak memory"], full["on disk"]) == (
        "10",
        "1.0",
        "12.3 MB",
        "6.0 MB",
    )
    assert (prompt["on disk"], prompt["verdict"]) == ("0 B", "improved")
    (pair,) = (dict(zip(PAIR_TITLES, line, strict=True)) for line in pairs.rows)
    assert (pair["pair"], pair["difference"], pair["better"]) == ("full - prompt", "+7.33", "full")
    assert skipped.rows == (("rlhf", "It cannot | be."),)


def test_one_method_alone_has_no_pairs() -> None:
    """Nothing is compared, and nothing is said of pairs."""
    (only,) = tabulate_methods([make_method("full", [9.0] * 12, Cost(peak_bytes=1, stored_bytes=1))], {})
    assert only.columns == TITLES


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (1_540_000, "1.5 MB"), (2 * 10**9, "2.0 GB")]
)
def test_bytes_are_said_in_their_unit(count: int, said: str) -> None:
    """One to three digits before the point."""
    assert say_bytes(count) == said
