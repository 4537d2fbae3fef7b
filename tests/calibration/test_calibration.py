"""The gate's promises, measured on the outputs of real systems."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from harness.calibration import Calibrated, calibrate, pair_rows
from harness.cli import main
from harness.config import GateSettings
from harness.errors import DataError
from tests.arms import make_arm

SIZES = (20, 100, 500, 2_000)
GATE = GateSettings(flips=1_000)


@pytest.fixture(scope="module", params=["xsum_deltas", pytest.param("wmt_deltas", marks=pytest.mark.slow)])
def real(request: pytest.FixtureRequest) -> list[Calibrated]:
    """Calibrations on XSum and on WMT."""
    return calibrate(request.getfixturevalue(request.param), GATE, rows=SIZES, effect=1.0, trials=1_000, seed=1)


def test_false_alarms_are_as_rare_as_promised(real: list[Calibrated]) -> None:
    """At 20, 100, 500 and 2,000 rows, with one metric and four: within the 95 % limits of 5 %."""
    assert [(entry.rows, entry.metrics) for entry in real] == [(size, group) for size in SIZES for group in (1, 4)]
    outside = [entry for entry in real if not entry.kept]
    assert outside == []


def test_naive_assertions_cry_wolf(real: list[Calibrated]) -> None:
    """A demand that nothing drops trips over an unchanged model in half of the runs, with four metrics more often."""
    for entry in real:
        assert entry.dropped == pytest.approx(0.5, abs=0.05) if entry.metrics == 1 else entry.dropped > 0.5
    assert real[0].dropped_by_one > 4 * real[0].level


def test_power_grows_with_rows(real: list[Calibrated]) -> None:
    """More rows find more of the same losses, and a gate that finds nothing would be seen here."""
    for group in (1, 4):
        powers = [entry.power for entry in real if entry.metrics == group]
        assert powers == sorted(powers)
        assert powers[-1] > 0.5


@pytest.mark.parametrize("name", ["xsum_deltas", "wmt_deltas"])
@pytest.mark.parametrize("rows", [20, 100, 500])
@pytest.mark.parametrize("metrics", [1, 4])
def test_power_is_that_of_the_t_test(name: str, rows: int, metrics: int, request: pytest.FixtureRequest) -> None:
    """A loss that the paired t-test (with Bonferroni's correction) finds in 70 % or so: at least 0.95 of its power."""
    deltas: np.ndarray = request.getfixturevalue(name)[:, :metrics]
    centred = deltas - deltas.mean(axis=0)
    effect = 2.5 * float(centred.std(axis=0).min()) / math.sqrt(rows)
    ours = calibrate(deltas, GATE, rows=[rows], effect=effect, trials=1_000, seed=2)[-1].power
    rng = np.random.default_rng(3)
    drawn = centred[np.stack([rng.permutation(len(centred))[:rows] for _ in range(1_000)], axis=1)]
    drawn = drawn * rng.choice([-1.0, 1.0], (rows, 1_000, 1)) - effect
    smallest = stats.ttest_1samp(drawn, 0, alternative="less").pvalue.min(axis=-1)
    theirs = float((smallest * metrics <= GATE.level).mean())
    assert 0.4 < theirs < 0.99
    assert ours >= 0.95 * theirs


def test_gate_that_promises_less_is_measured_so() -> None:
    """At a level of 20 % there are 20 % false alarms: the measurement is no constant."""
    deltas = np.random.default_rng(0).normal(0, 5, (300, 2))
    (entry, _) = calibrate(deltas, GateSettings(flips=1_000, level=0.2), rows=[50], effect=1.0)
    assert entry.kept
    assert entry.false_alarms > 0.15


def test_one_arm_alone_is_paired_with_itself() -> None:
    """Each row appears once as itself and once as another's partner, so the deltas sum to nothing."""
    scores = np.random.default_rng(0).normal(50, 5, (40, 3))
    deltas = pair_rows(scores)
    assert np.abs(deltas.sum(axis=0)).max() < 1e-9
    assert deltas.std() > scores.std()
    assert np.all(deltas != 0)


def test_what_cannot_be_measured_is_said() -> None:
    """Too few rows, or two arms with equal scores."""
    with pytest.raises(DataError, match="There are 10 rows of scores, and 20"):
        calibrate(np.ones((10, 1)), GATE, rows=[20, 100], effect=1.0)
    with pytest.raises(DataError, match="equal scores in every row"):
        calibrate(np.zeros((30, 1)), GATE, rows=[20], effect=1.0)


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["harness", "calibrate", *arguments])
    return int(main() or 0)


def test_command_measures_a_stored_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run's folder: base and tuned; the table fits 80 columns, JSON has the same numbers, Markdown the same cells."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    make_arm(rng.normal(20, 5, 60).tolist()).write(tmp_path / "run" / "base")
    make_arm(rng.normal(40, 5, 60).tolist(), role="tuned").write(tmp_path / "run" / "tuned")
    (tmp_path / "harness.toml").write_text('name = "x"\n[gate]\nflips = 1000\n', encoding="utf-8")
    options = ("run", "--rows", "20,50,100", "--trials", "200", "--effect", "3")
    assert call(monkeypatch, *options) == 0
    table = capsys.readouterr().out
    assert max(map(len, table.splitlines())) <= 80
    assert "1,000 flips" in table
    assert call(monkeypatch, *options, "--json") == 0
    entries = json.loads(capsys.readouterr().out)
    assert [entry["rows"] for entry in entries] == [20, 50]
    assert f"{100 * entries[1]['power']:.0f} %" in table
    assert call(monkeypatch, *options, "--markdown") == 0
    assert capsys.readouterr().out.count("|") == 4 * 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none"], "is no folder of an arm"),
        (["a", "b", "c"], "3 sources were given"),
        (["long.txt", "--references", "short.txt"], "has 3 lines, and short.txt has 2"),
        (["none.txt", "--references", "short.txt"], "cannot be read"),
        (["long.txt", "--references", "long.txt", "--rows", "many"], "is no list of numbers"),
        (["long.txt", "--references", "long.txt", "--metric", "roug"], 'Did you mean "rouge"'),
    ],
)
def test_usage_fault_is_one_clear_message(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit code 2 and the remedy."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "long.txt").write_text("a\nb\nc\n", encoding="utf-8")
    (tmp_path / "short.txt").write_text("a\nb\n", encoding="utf-8")
    assert call(monkeypatch, *arguments) == 2
    assert message in capsys.readouterr().err
