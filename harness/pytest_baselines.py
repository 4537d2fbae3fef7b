"""Baselines in a pytest session: create the missing, update after review, and let orphans fail."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from harness.baselines import Baseline
    from harness.experiment import Run

CREATE = "harness_create_baselines"
UPDATE = "harness_update_baselines"
WHY = "harness_why"
FORCE = "harness_force"
ORPHANS = "harness_forbid_orphans"
REVIEW_FILE = "review.txt"


def add_baseline_options(group: pytest.OptionGroup) -> None:
    """Add the options."""
    group.addoption(
        "--harness-create-baselines", dest=CREATE, action="store_true",
        help="store this session's arms where none are stored; what is stored stays; implies --harness-check",
    )  # fmt: skip
    group.addoption(
        "--harness-update-baselines", dest=UPDATE, action="store_true",
        help="store this session's arms also in place of others, and show what changed; implies --harness-check",
    )  # fmt: skip
    group.addoption(
        "--harness-why", dest=WHY, metavar="TEXT", default="", help="why a stored baseline is replaced; written down"
    )
    group.addoption(
        "--harness-force", dest=FORCE, action="store_true",
        help="store baselines also in CI or with uncommitted changes; it is written down",
    )  # fmt: skip
    group.addoption(
        "--harness-forbid-orphans", dest=ORPHANS, action="store_true",
        help="add a test that fails where a baseline is stored that no experiment asks for",
    )  # fmt: skip


def stores_baselines(config: pytest.Config) -> bool:
    """Whether this session may store baselines."""
    return bool(config.getoption(CREATE) or config.getoption(UPDATE))


def will_store(config: pytest.Config, folder: Path, experiment: str, runs: Path) -> bool:
    """Whether this session's run will be stored.

    Raises:
        BaselineError: it was asked for and is refused; this is found before anything is trained.
    """
    from harness.baselines import require_storable

    place = folder / experiment
    if not (config.getoption(UPDATE) or (config.getoption(CREATE) and not place.exists())):
        return False
    require_storable(place, why=config.getoption(WHY), force=config.getoption(FORCE), ignored=[runs])
    return True


def store_run(config: pytest.Config, folder: Path, done: Run, stored: Baseline | None, runs: Path) -> tuple[Run, str]:
    """Store the run's arms; returns the run judged against them, and what they changed, as text."""
    from harness.baselines import Baseline, read_baseline, review, say_review, store_baseline
    from harness.experiment import judge_again

    new = Baseline(base=done.base, tuned=done.tuned, others=done.others)
    reviews = review(stored, new, done.experiment.gate) if stored else ()
    place = store_baseline(folder, new, why=config.getoption(WHY), force=config.getoption(FORCE), ignored=[runs])
    lines = [f"stored {place}", *[line for found in reviews for line in say_review(found)]]
    return judge_again(done, read_baseline(folder, done.experiment.name)), "\n".join(lines) + "\n"


class OrphanItem(pytest.Item):
    """A test that fails where something is stored that no experiment asks for."""

    def __init__(self, *, baselines: Path, project: Path, experiment: str, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        self._baselines, self._project, self._experiment = baselines, project, experiment

    def runtest(self) -> None:
        """Look at what is stored."""
        from harness.baselines import find_orphans, known_experiments

        orphans = find_orphans(self._baselines, {*known_experiments(self._project), self._experiment})
        if orphans:
            names = ", ".join(str(path) for path in orphans)
            pytest.fail(
                f"No experiment asks for {names}: it looks like protection, and protects nothing. "
                "Remove it: harness baseline prune --yes",
                pytrace=False,
            )

    def reportinfo(self) -> tuple[Path, None, str]:
        """Where the item stands in pytest's reports."""
        return self.path, None, self.name
