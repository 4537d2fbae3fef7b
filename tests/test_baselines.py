"""The store of approved arms."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.baselines import accept_run, list_baselines, newest_run, read_baseline, store_baseline
from harness.errors import BaselineError
from tests.arms import make_arm

BASE = make_arm([1.0, 2.0])
TUNED = make_arm([5.0, 6.0], role="tuned", weights="w2", outputs=["a", "b"])


def test_what_is_stored_is_read(tmp_path: Path) -> None:
    """Both arms come back; an experiment that was never stored has none."""
    store_baseline(tmp_path, base=BASE, tuned=TUNED)
    baseline = read_baseline(tmp_path, "x")
    assert baseline is not None
    assert (baseline.base, baseline.tuned) == (BASE, TUNED)
    assert read_baseline(tmp_path, "other") is None
    assert list_baselines(tmp_path) == [BASE, TUNED]


def test_storing_again_replaces_both_arms_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure while writing leaves the old baseline whole, and nothing half-written beside it."""
    store_baseline(tmp_path, base=BASE, tuned=TUNED)
    other = make_arm([7.0, 8.0], role="tuned", weights="w3", outputs=["c", "d"])
    with monkeypatch.context() as patch:
        patch.setattr("harness.arm.hash_text", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            store_baseline(tmp_path, base=BASE, tuned=other)
    baseline = read_baseline(tmp_path, "x")
    assert baseline is not None
    assert baseline.tuned == TUNED
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    store_baseline(tmp_path, base=BASE, tuned=other)
    assert [arm.manifest.model.weights for arm in list_baselines(tmp_path)] == ["w", "w3"]
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_run_that_learned_nothing_is_not_stored(tmp_path: Path) -> None:
    """Equal outputs would make a baseline that every failure equals."""
    with pytest.raises(BaselineError, match="say the same in all 2 rows"):
        store_baseline(tmp_path, base=BASE, tuned=make_arm([1.0, 2.0], role="tuned", weights="w2"))
    assert not list(tmp_path.iterdir())


def test_half_a_baseline_is_an_error(tmp_path: Path) -> None:
    """One arm without the other is a damaged store, not an empty one."""
    BASE.write(tmp_path / "x" / "base")
    with pytest.raises(BaselineError, match="holds the arm base alone"):
        read_baseline(tmp_path, "x")


@pytest.mark.parametrize("experiment", ["x", "y"])
def test_arm_in_the_wrong_place_is_an_error(tmp_path: Path, experiment: str) -> None:
    """Swapped arms, and those of another experiment, are found by their manifests."""
    one, other = (BASE, TUNED) if experiment == "y" else (TUNED, BASE)
    one.write(tmp_path / experiment / "base")
    other.write(tmp_path / experiment / "tuned")
    with pytest.raises(BaselineError, match=r'holds the arm "(base|tuned)" of "x"'):
        read_baseline(tmp_path, experiment)


def test_a_run_is_accepted_for_its_own_experiment(tmp_path: Path) -> None:
    """The newest run is found by its name; a run of another experiment is refused."""
    for name in ("20260101", "20260102"):
        BASE.write(tmp_path / "runs" / "x" / name / "base")
        TUNED.write(tmp_path / "runs" / "x" / name / "tuned")
    newest = newest_run(tmp_path / "runs", "x")
    assert newest.name == "20260102"
    with pytest.raises(BaselineError, match='holds the arm "base" of "x"'):
        accept_run(newest, "y", tmp_path / "baselines")
    assert accept_run(newest, "x", tmp_path / "baselines") == tmp_path / "baselines" / "x"
    with pytest.raises(BaselineError, match='no run of "y"'):
        newest_run(tmp_path / "runs", "y")
