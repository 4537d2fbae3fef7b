"""Several strategies in one command: what does not fit is left out, and what is left must be a comparison."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import SettingsError
from harness.gate import ExitCode
from harness.multitask import Multitask
from harness.progress import Unfinished
from harness.strategies.lines import choose_line
from harness.strategies.single import Single
from harness.strategies.stage import score_pupil
from harness.strategies.study import make_study_key, run_study
from tests.strategies.resumable import settings

NOTHING_HELD: dict[str, object] = {"continual.replay": 0, "continual.ewc": 0.0, "strategy": "sequential"}


def small(**changes: object) -> Multitask:
    """Two tasks, of which continual learning has nothing to hold on to."""
    return settings(**{**NOTHING_HELD, **changes})


def test_what_does_not_fit_is_left_out_with_its_reason(tmp_path: Path) -> None:
    """One strategy that is left is no comparison: exit code 4. Its stages stay until they are no longer needed."""
    said: list[str] = []
    lines = [choose_line(name) for name in ("single", "replay", "ewc")]
    unfinished = Unfinished(tmp_path / "unfinished", every=0)
    with unfinished:
        found = run_study(small(), lines, unfinished=unfinished, say=said.append)
    assert list(found.runs) == ["single"]
    assert list(found.skipped) == ["replay", "ewc"]
    assert "are both 0" in found.skipped["ewc"]
    assert found.exit_code is ExitCode.NOT_COMPARABLE
    # Before anything trains, and before the base is scored.
    assert said.index(next(line for line in said if "ewc is left out" in line)) < said.index(
        next(line for line in said if line.startswith("base:"))
    )
    other = tmp_path / "unfinished" / "of-another-command"
    other.mkdir()
    assert (tmp_path / "unfinished" / str(make_study_key(found.curriculum, lines))).is_dir()
    unfinished.forget()
    assert list((tmp_path / "unfinished").iterdir()) == [other]


def test_where_nothing_fits_that_is_the_error() -> None:
    """Of several strategies of which none fits, nothing is run and the reason is told."""
    with pytest.raises(SettingsError, match="are both 0"):
        run_study(small(), [choose_line(name) for name in ("replay", "ewc")])


def test_a_model_of_its_own_for_each_task_forgets_nothing() -> None:
    """Outputs of the first task are the same after the second, bit for bit, and no other task is touched."""
    (run,) = run_study(small(), [choose_line("single")]).runs.values()
    base, first, second = run.repeats[0]
    # What nobody taught is not asked a second time; asked anew it says the same.
    assert first.arms["classification"] is second.arms["classification"]
    single = Single(curriculum=run.curriculum, seed=run.multitask.seed)
    pupil = single.teach(1, single.teach(0, single.begin())).pupil
    assert score_pupil(run.curriculum, pupil, "single", before=(single.begin().pupil, base)) == second.arms
    assert first.arms["classification"].rows == second.arms["classification"].rows
    assert first.arms["sentiment"].rows == base.arms["sentiment"].rows
    assert run.matrix().shape == (3, 2)
    assert run.learned.tolist() == [1, 2]
