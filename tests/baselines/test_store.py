"""The store of approved arms."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from harness.arm import Arm
from harness.baselines import Baseline, list_baselines, newest_run, read_baseline, read_run, store_baseline
from harness.errors import BaselineError
from harness.fingerprint import hash_json
from tests.arms import make_arm

BASE = make_arm([1.0, 2.0])


def tuned_of(weights: str, *, seed: int = 42) -> Arm:
    return make_arm([5.0, 6.0], role="tuned", weights=weights, outputs=["a", weights], training={"seed": seed})


TUNED = tuned_of("w2")
NEW = Baseline(base=BASE, tuned=TUNED)


@pytest.fixture(autouse=True)
def outside_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests store baselines, which CI refuses."""
    monkeypatch.delenv("CI", raising=False)


def read(folder: Path) -> Baseline:
    baseline = read_baseline(folder, "x")
    assert baseline is not None
    return baseline


def test_what_is_stored_is_read(tmp_path: Path) -> None:
    """Both arms come back; an experiment that was never stored has none."""
    store_baseline(tmp_path, NEW)
    assert (read(tmp_path).base, read(tmp_path).tuned) == (BASE, TUNED)
    assert read_baseline(tmp_path, "other") is None
    assert list_baselines(tmp_path) == [BASE, TUNED]


def test_every_seed_is_stored(tmp_path: Path) -> None:
    """The arms of further seeds come back in the order of their seeds, beside the first."""
    others = (tuned_of("w9", seed=100), tuned_of("w8", seed=43))
    store_baseline(tmp_path, Baseline(base=BASE, tuned=TUNED, others=others))
    assert read(tmp_path).others == (others[1], others[0])
    store_baseline(tmp_path, NEW, why="one seed is enough")
    assert read(tmp_path).others == ()


def test_failure_while_storing_leaves_the_old_baseline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is half-written, and nothing is left beside it."""
    store_baseline(tmp_path, NEW)
    other = Baseline(base=BASE, tuned=tuned_of("w3"))
    with monkeypatch.context() as patch:
        patch.setattr("harness.arm.hash_json", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            store_baseline(tmp_path, other, why="better")
    assert read(tmp_path).tuned == TUNED
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "x"]
    store_baseline(tmp_path, other, why="better")
    assert read(tmp_path).tuned == other.tuned
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "x"]


def test_a_run_that_learned_nothing_is_not_stored(tmp_path: Path) -> None:
    """Equal outputs would make a baseline that every failure equals."""
    same = Baseline(base=BASE, tuned=make_arm([1.0, 2.0], role="tuned", weights="w2"))
    with pytest.raises(BaselineError, match="say the same in all 2 rows"):
        store_baseline(tmp_path, same)


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


@pytest.mark.parametrize("name", ["base/manifest.json", "tuned/rows.jsonl", "approval.json"])
@pytest.mark.parametrize("damage", ["edited", "cut"])
def test_edited_or_truncated_file_is_named(tmp_path: Path, name: str, damage: str) -> None:
    """One changed letter, or a file cut in half, is an error that says which file."""
    path = store_baseline(tmp_path, NEW) / name
    text = path.read_text(encoding="utf-8")
    changed = text.replace("e", "é", 1) if damage == "edited" else text[: len(text) // 2]
    path.write_text(changed, encoding="utf-8")
    with pytest.raises(BaselineError, match=str(path)):
        read_baseline(tmp_path, "x")


def test_arm_that_was_not_approved_is_an_error(tmp_path: Path) -> None:
    """A whole arm with right hashes, put in the place of the approved one, is found."""
    place = store_baseline(tmp_path, NEW)
    tuned_of("w7").write(place / "tuned")
    with pytest.raises(BaselineError, match=r"is not the arm that .* approved"):
        read_baseline(tmp_path, "x")


def test_a_run_is_read_for_its_own_experiment(tmp_path: Path) -> None:
    """The newest run is found by its name; a run of another experiment is refused."""
    for name in ("20260101", "20260102"):
        BASE.write(tmp_path / "runs" / "x" / name / "base")
        TUNED.write(tmp_path / "runs" / "x" / name / "tuned")
    newest = newest_run(tmp_path / "runs", "x")
    assert newest.name == "20260102"
    with pytest.raises(BaselineError, match='holds the arm "base" of "x"'):
        read_run(newest, "y")
    assert read_run(newest, "x").tuned == TUNED
    with pytest.raises(BaselineError, match='no run of "y"'):
        newest_run(tmp_path / "runs", "y")


def test_replacing_needs_a_reason(tmp_path: Path) -> None:
    """The first baseline needs none; the next one does, and new-only never replaces."""
    store_baseline(tmp_path, NEW)
    approval = read(tmp_path).approval
    assert approval is not None
    assert (approval.why, approval.commit, approval.forced) == ("the first baseline", None, False)
    with pytest.raises(BaselineError, match="no reason is given"):
        store_baseline(tmp_path, NEW, why="  ")
    with pytest.raises(BaselineError, match="is stored already"):
        store_baseline(tmp_path, NEW, why="better", new_only=True)
    store_baseline(tmp_path, NEW, why="better")
    approval = read(tmp_path).approval
    assert approval is not None
    assert approval.why == "better"


def test_refused_in_ci_unless_forced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With CI set nothing is stored; by force it is, and that is written down."""
    monkeypatch.setenv("CI", "true")
    with pytest.raises(BaselineError, match="CI is set"):
        store_baseline(tmp_path / "b", NEW)
    assert not (tmp_path / "b" / "x").exists()
    store_baseline(tmp_path / "b", NEW, force=True)
    approval = read(tmp_path / "b").approval
    assert approval is not None
    assert approval.forced
    monkeypatch.setenv("CI", "false")
    store_baseline(tmp_path / "b", NEW, why="better")


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def test_refused_on_a_dirty_work_tree_unless_forced(tmp_path: Path) -> None:
    """Changed and new files refuse it, and are named; stored arms, runs and caches do not count; the commit is kept."""
    git(tmp_path, "init", "-q")
    (tmp_path / "code.py").write_text("a = 1\n", encoding="utf-8")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    baselines, runs = tmp_path / "baselines", tmp_path / "runs"
    for extra in (runs / "r.txt", tmp_path / "__pycache__" / "c.pyc"):
        extra.parent.mkdir()
        extra.write_text("", encoding="utf-8")
    store_baseline(baselines, NEW, ignored=[runs])
    approval = read(baselines).approval
    assert approval is not None
    assert (approval.commit, approval.forced) == (git(tmp_path, "rev-parse", "HEAD"), False)
    (tmp_path / "code.py").write_text("a = 2\n", encoding="utf-8")
    (tmp_path / "new.py").write_text("", encoding="utf-8")
    with pytest.raises(BaselineError, match=r"differs from its commit in 2 files: code\.py, new\.py"):
        store_baseline(baselines, NEW, why="better", ignored=[runs])
    store_baseline(baselines, NEW, why="better", force=True, ignored=[runs])
    approval = read(baselines).approval
    assert approval is not None
    assert approval.forced


def test_baseline_of_an_older_version_is_read(tmp_path: Path) -> None:
    """Arms without an approval are a baseline; why and from which commit is then not known."""
    place = store_baseline(tmp_path, NEW)
    (place / "approval.json").unlink()
    assert read(tmp_path).approval is None


def test_approval_with_strange_fields_is_an_error(tmp_path: Path) -> None:
    """A file whose hash is right and whose fields are others is of no use."""
    path = store_baseline(tmp_path, NEW) / "approval.json"
    path.write_text(json.dumps({"a": 1, "sha256": hash_json({"a": 1})}), encoding="utf-8")
    with pytest.raises(BaselineError, match="is damaged"):
        read_baseline(tmp_path, "x")
