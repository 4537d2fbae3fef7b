"""The store of approved arms: ``baselines/<experiment>/<role>/``, reviewed in git."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from harness.arm import Arm, Role
from harness.atomic import whole_folder
from harness.errors import BaselineError

ROLES = get_args(Role)
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
    for in_the_way in (folder, place):
        if os.path.lexists(in_the_way) and not in_the_way.is_dir():
            raise BaselineError(f"{in_the_way} is no folder.", fix="Name the folder of stored arms.")
    present = [role for role in ROLES if os.path.lexists(place / role)]
    if not present:
        return None
    if len(present) < len(ROLES):
        raise BaselineError(
            f"{place} holds the arm {present[0]} alone.", fix="Restore the folder from git, or accept a new run."
        )
    base, tuned = _read_arms(place, experiment)
    return Baseline(base=base, tuned=tuned)


def _read_arms(place: Path, experiment: str) -> tuple[Arm, Arm]:
    """Both arms of a folder, and none of another role or experiment."""
    arms = []
    for role in ROLES:
        arm = Arm.read(place / role)
        if (arm.manifest.experiment, arm.manifest.role) != (experiment, role):
            raise BaselineError(
                f'{place / role} holds the arm "{arm.manifest.role}" of "{arm.manifest.experiment}".',
                why="Compared with another arm than the one meant, every verdict would be wrong.",
                fix="Restore the folder from git, or accept a new run of that experiment.",
            )
        arms.append(arm)
    return arms[0], arms[1]


def store_baseline(folder: Path, *, base: Arm, tuned: Arm) -> Path:
    """Store both arms of a run as the baseline of their experiment; returns the experiment's folder.

    Raises:
        BaselineError: all outputs of base and tuned are equal.
    """
    if all(one.output == other.output for one, other in zip(base.rows, tuned.rows, strict=True)):
        raise BaselineError(
            f'In this run of "{base.manifest.experiment}" base and tuned say the same in all {len(base.rows)} rows.',
            why="Stored as the baseline, it would let every later failure pass.",
            fix="Accept a run that learned something.",
        )
    place = folder / base.manifest.experiment
    with whole_folder(place) as fresh:
        base.write(fresh / "base")
        tuned.write(fresh / "tuned")
    return place


def accept_run(run_folder: Path, experiment: str, baselines: Path) -> Path:
    """Store the arms of a run that was written to disk; returns the experiment's folder.

    Raises:
        BaselineError: the folder holds no whole run, one of another experiment, or one that learned nothing.
    """
    base, tuned = _read_arms(run_folder, experiment)
    return store_baseline(baselines, base=base, tuned=tuned)


def list_baselines(folder: Path, experiment: str = "*") -> list[Arm]:
    """The stored arms of one experiment or of all, by experiment and role.

    Raises:
        BaselineError: an arm is damaged or was edited.
    """
    places = [place for place in sorted(folder.glob(experiment)) if place.is_dir() and not place.name.startswith(".")]
    return [Arm.read(place / role) for place in places for role in ROLES]


def newest_run(runs: Path, experiment: str) -> Path:
    """The folder of an experiment's last run.

    Raises:
        BaselineError: there is none.
    """
    folders = sorted(folder for folder in (runs / experiment).glob("[!.]*") if (folder / "tuned").is_dir())
    if not folders:
        raise BaselineError(
            f'There is no run of "{experiment}" in {runs}.', fix="Run it first, or name the folder with --runs."
        )
    return folders[-1]
