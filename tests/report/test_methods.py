"""The table of methods: what each brought, what it took, and which differ."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.experiment import Run
from harness.report.methods import PAIR_TITLES, TITLES, tabulate_methods
from harness.report.wording import say_bytes, say_count
from harness.tuning import Cost
from tests.runs import make_run


def make_method(name: str, tuned: list[float], cost: Cost, **more: object) -> Run:
    """A run by this method, whose base scores 1 in each row."""
    run = make_run([1.0] * 12, tuned)
    return replace(run, experiment=run.experiment.override({"method": name, "gate.flips": 1000, **more}), cost=cost)


def test_each_method_has_its_line_and_each_pair() -> None:
    """Scores, parameters, seconds and bytes stand beside each method; of two pairs alike none is better."""
    runs = [
        make_method("full", [9.0, 8.0, 9.5] * 4, Cost(peak_bytes=12_300_000, stored_bytes=6_000_000)),
        make_method("prompt", [1.5, 2.0, 1.0] * 4, Cost(peak_bytes=0, stored_bytes=0)),
    ]
    reasons = {"lora": "It cannot | be.", "rlhf": "No text.", "adapters": "It cannot | be."}
    methods, pairs, skipped = tabulate_methods(runs, reasons)
    full, prompt = (dict(zip(TITLES, line, strict=True)) for line in methods.rows)
    assert methods.title == "summarization, m: rouge1 on 12 rows, base 1.00"
    assert (full["method"], full["tuned"], full["delta"]) == ("full", "8.83", "+7.83")
    low, high = map(float, full["interval"].split(" … "))
    assert low < 7.83 < high
    assert (full["trained"], full["time"], full["memory"], full["on disk"]) == ("10", "1 s", "12.3 MB", "6.00 MB")
    assert (prompt["method"], prompt["on disk"], prompt["verdict"]) == ("zero-shot", "0 B", "improved")
    (pair,) = (dict(zip(PAIR_TITLES, line, strict=True)) for line in pairs.rows)
    assert (pair["pair"], pair["difference"], pair["better"]) == ("full - zero-shot", "+7.33", "full")
    assert skipped.rows == (("lora, adapters", "It cannot | be."), ("rlhf", "No text."))


def test_one_method_with_two_settings_has_two_lines() -> None:
    """Prompting without and with demonstrations are two ways, by the names that the field has for them."""
    cost = Cost(peak_bytes=0, stored_bytes=0)
    runs = [
        make_method("prompt", [1.5, 2.0, 1.0] * 4, cost),
        make_method("prompt", [3.0, 2.5, 2.7] * 4, cost, **{"prompt.shots": 2}),
        make_method("prompt", [3.0, 2.5, 2.7] * 4, cost, **{"prompt.variant": "prefix-tuning"}),
    ]
    methods, pairs = tabulate_methods(runs, {})
    assert [line[0] for line in methods.rows] == ["zero-shot", "few-shot", "prefix-tuning"]
    assert len(pairs.rows) == 3


def test_one_method_alone_has_no_pairs() -> None:
    """Nothing is compared, and nothing is said of pairs."""
    (only,) = tabulate_methods([make_method("full", [9.0] * 12, Cost(peak_bytes=1, stored_bytes=1))], {})
    assert only.columns == TITLES


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0"), (999, "999"), (1_000, "1.00 k"), (12_345, "12.3 k"), (999_499, "999 k"), (999_999, "1.00 M"),
     (135_168, "135 k"), (2 * 10**9, "2.00 G")],
)  # fmt: skip
def test_counts_are_said_in_their_unit(count: int, said: str) -> None:
    """Three digits, one to three of them before the point."""
    assert say_count(count) == said
    assert say_bytes(count) == f"{said}{'' if ' ' in said else ' '}B"
