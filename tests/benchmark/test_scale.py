"""Time and memory over the rows: what is measured is a whole evaluation, and growth is not overlooked."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.arm import Arm
from harness.benchmark.replay import measure_replay
from harness.benchmark.scale import draw, find_faults

FIRST = {"rows": 10_000, "peak_bytes": 600_000_000, "seconds": 10.0}


@pytest.mark.parametrize(
    ("rows", "peak", "seconds", "fault"),
    [
        (1_000_000, 1.2, 900, None),
        (1_000_000, 1.31, 900, "1,000,000 rows take 1.31 times the memory of 10,000"),
        (100_000, 1.0, 140, "a row of 100,000 takes 1.40 times the time of a row of 10,000"),
    ],
)
def test_what_grows_faster_than_promised_is_a_fault(rows: int, peak: float, seconds: float, fault: str | None) -> None:
    """Memory may grow by 1.3 in all, time by 1.3 a row, in whatever order the sizes come."""
    size = {"rows": rows, "peak_bytes": peak * FIRST["peak_bytes"], "seconds": seconds}
    assert find_faults([FIRST, size]) == find_faults([size, FIRST]) == ([] if fault is None else [fault])


def test_equal_numbers_are_an_equal_chart(tmp_path: Path) -> None:
    """So a chart changes in git exactly when its numbers do."""
    sizes = [FIRST, {"rows": 100_000, "peak_bytes": 650_000_000, "seconds": 90.0}]
    for name, drawn in (("one", sizes), ("same", sizes), ("other", [*sizes[:1], {**sizes[1], "seconds": 95.0}])):
        draw(drawn, tmp_path / f"{name}.svg")
    one, same, other = ((tmp_path / f"{name}.svg").read_bytes() for name in ("one", "same", "other"))
    assert one == same != other


def test_a_whole_evaluation_is_measured(tmp_path: Path) -> None:
    """All rows reach both arms on disk, as replayed; the verdict sees the gain, and the reports say so."""
    measured = measure_replay(150, tmp_path)
    assert (measured.rows, measured.outcome) == (150, "improved")
    assert {"rows", "encode", "score", "verdict", "report"} <= set(measured.stages)
    (run,) = (tmp_path / "scale").iterdir()
    for role, wrong in (("base", 3), ("tuned", 5)):
        arm = Arm.read(run / role)
        right = [row.scores["rouge1"] == 100 for row in arm.rows]
        assert right == ["nothing new" not in row.output for row in arm.rows]
        assert sum(right) / len(right) == pytest.approx(1 - 1 / wrong, abs=0.1)
        assert len(right) == 150
    assert "150 rows, paired" in (run / "report.md").read_text(encoding="utf-8")
