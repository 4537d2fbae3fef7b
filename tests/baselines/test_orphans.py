"""Stored baselines that no experiment asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.baselines import Baseline, find_orphans, known_experiments, prune, store_baseline
from harness.config import presets
from harness.errors import BaselineError
from tests.arms import make_arm


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one experiment, and baselines of it and of another."""
    monkeypatch.delenv("CI", raising=False)
    (tmp_path / "harness.toml").write_text('name = "mine"\n', encoding="utf-8")
    (tmp_path / "broken.toml").write_text("name = ", encoding="utf-8")
    for name in ("mine", "gone"):
        base, tuned = make_arm([1.0], experiment=name), make_arm([2.0], experiment=name, role="tuned", outputs=["t"])
        store_baseline(tmp_path / "baselines", Baseline(base=base, tuned=tuned))
    return tmp_path


def test_known_are_presets_and_files(project: Path) -> None:
    """Every preset, and each TOML file's name; a file that cannot be read names nothing."""
    assert known_experiments(project) == {*presets(), "mine"}


def test_orphans_are_found_and_pruned(project: Path) -> None:
    """Another experiment's arms, and a stray file among the known ones', go; the rest stays."""
    baselines = project / "baselines"
    stray = baselines / "mine" / "notes.txt"
    stray.write_text("", encoding="utf-8")
    known = known_experiments(project)
    assert find_orphans(baselines, known) == [baselines / "gone", stray]
    assert prune(baselines, known) == [baselines / "gone", stray]
    assert find_orphans(baselines, known) == []
    assert sorted(path.name for path in (baselines / "mine").iterdir()) == ["approval.json", "base", "tuned"]


def test_pruning_is_refused_in_ci(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may not be stored there may not be removed there."""
    monkeypatch.setenv("CI", "1")
    with pytest.raises(BaselineError, match="CI is set"):
        prune(project / "baselines", known_experiments(project))
    assert (project / "baselines" / "gone").is_dir()


def test_nothing_stored_has_no_orphans(tmp_path: Path) -> None:
    """A folder that is not there holds nothing."""
    assert find_orphans(tmp_path / "none", set()) == []
