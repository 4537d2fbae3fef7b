"""The store of approved arms: ``baselines/<experiment>/<role>/``, reviewed in git."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.arm import Arm
from harness.errors import BaselineError

ROLES = ("base", "tuned")
DEFAULT_FOLDER = Path("baselines")


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """The stored arms of one experiment."""

    base: Arm
    tuned: Arm


def read_baseline(folder: Path, experiment: str) -> Baseline | None:
    """Read the stored arms of an experiment; nothing where none are stored.

    Raises:
        BaselineError: an arm is damaged, was edited, or is stored without its other half.
    """
    place = folder / experiment
    present = [role for role in ROLES if (place / role).exists()]
    if not present:
        return None
    if len(present) < len(ROLES):
        raise BaselineError(
            f"{place} holds the arm {present[0]} alone.", fix="Restore the folder from git, or accept a new run."
        )
    base, tuned = (Arm.read(place / role) for role in ROLES)
    for role, arm in (("base", base), ("tuned", tuned)):
        if (arm.manifest.experiment, arm.manifest.role) != (experiment, role):
            raise BaselineError(
                f'{place / role} holds the arm "{arm.manifest.role}" of "{arm.manifest.experiment}".',
                why="Compared with another arm than the one meant, every verdict would be wrong.",
                fix="Restore the folder from git, or accept a new run.",
            )
    return Baseline(base=base, tuned=tuned)


def store_baseline(folder: Path, *, base: Arm, tuned: Arm) -> Path:
    """Store both arms of a run as the baseline of their experiment; returns the experiment's folder."""
    place = folder / base.manifest.experiment
    base.write(place / "base")
    tuned.write(place / "tuned")
    return place


def accept_run(run_folder: Path, experiment: str, baselines: Path) -> Path:
    """Store the arms of a run that was written to disk; returns the experiment's folder.

    Raises:
        BaselineError: the folder holds no whole run, or one of another experiment.
    """
    base, tuned = (Arm.read(run_folder / role) for role in ROLES)
    if base.manifest.experiment != experiment:
        raise BaselineError(
            f'{run_folder} is a run of "{base.manifest.experiment}", not of "{experiment}".',
            fix="Name that experiment.",
        )
    return store_baseline(baselines, base=base, tuned=tuned)


def list_baselines(folder: Path) -> list[Arm]:
    """All stored arms, by experiment and role.

    Raises:
        BaselineError: an arm is damaged or was edited.
    """
    return [Arm.read(path.parent) for path in sorted(folder.glob("*/*/manifest.json"))]


def newest_run(runs: Path, experiment: str) -> Path:
    """The folder of an experiment's last run.

    Raises:
        BaselineError: there is none.
    """
    folders = sorted(folder for folder in (runs / experiment).glob("*") if (folder / "tuned").is_dir())
    if not folders:
        raise BaselineError(
            f'There is no run of "{experiment}" in {runs}.', fix="Run it first, or name the folder with --runs."
        )
    return folders[-1]
