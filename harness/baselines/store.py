"""Read and write stored arms: ``baselines/<experiment>/base``, ``tuned``, and ``tuned.SEED`` for each further seed."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from harness.arm import Arm, Role
from harness.atomic import locked, locked_if_shared, recover, whole_folder
from harness.baselines.approval import Approval, hash_manifests, now, read_approval, refuse_carelessness, write_approval
from harness.errors import BaselineError
from harness.places import place_inside

BENCHMARKS = "benchmarks"
"""The folder among the experiments that holds measurements of speed, a file for each model and device."""
ROLES = get_args(Role)
SEED = re.compile(r"tuned\.(0|[1-9][0-9]*)")
"""The names of the folders of further seeds."""
DEFAULT_FOLDER = Path("baselines")
FIRST = "the first baseline"


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """The stored arms of one experiment.

    Args:
        base: the base's.
        tuned: the tuned model's, of the first seed.
        others: those of the further seeds.
        approval: why and from which commit they were stored; nothing where that was not written down.
    """

    base: Arm
    tuned: Arm
    others: tuple[Arm, ...] = ()
    approval: Approval | None = None


def read_baseline(folder: Path, experiment: str) -> Baseline | None:
    """Read the stored arms of an experiment; nothing where none are stored.

    Raises:
        BaselineError: an arm is damaged, was edited, or is stored without its other half.
        UsageError: the name leads out of the folder.
    """
    place = place_inside(folder, experiment, "an experiment")
    for in_the_way in (folder, place):
        if os.path.lexists(in_the_way) and not in_the_way.is_dir():
            raise BaselineError(f"{in_the_way} is no folder.", fix="Name the folder of stored arms.")
    with locked_if_shared(folder):
        if not place.exists():
            recover(place)
        present = [role for role in ROLES if os.path.lexists(place / role)]
        if not present:
            return None
        if len(present) < len(ROLES):
            raise BaselineError(
                f"{place} holds the arm {present[0]} alone.", fix="Restore the folder from git, or accept a new run."
            )
        base, tuned, *others = _read_arms(place, experiment)
        return Baseline(base=base, tuned=tuned, others=tuple(others), approval=read_approval(place))


def read_run(run_folder: Path, experiment: str) -> Baseline:
    """The arms of a run that was written to disk.

    Raises:
        BaselineError: the folder holds no whole run, or one of another experiment.
    """
    base, tuned, *others = _read_arms(run_folder, experiment)
    return Baseline(base=base, tuned=tuned, others=tuple(others))


def name_seed(arm: Arm) -> str:
    """The folder of a further seed's arm."""
    return f"tuned.{arm.manifest.training.get('seed')}"


def arm_names(place: Path) -> list[str]:
    """The folders of a place's arms: base, tuned, and the further seeds in order."""
    seeds = [path.name for path in place.glob("tuned.*") if SEED.fullmatch(path.name)]
    return [*ROLES, *sorted(seeds, key=lambda name: int(name.partition(".")[2]))]


def _read_arms(place: Path, experiment: str) -> list[Arm]:
    """All arms of a folder, and none of another role or experiment."""
    arms = []
    for name in arm_names(place):
        arm = Arm.read(place / name)
        if (arm.manifest.experiment, arm.manifest.role) != (experiment, name.partition(".")[0]):
            raise BaselineError(
                f'{place / name} holds the arm "{arm.manifest.role}" of "{arm.manifest.experiment}".',
                why="Compared with another arm than the one meant, every verdict would be wrong.",
                fix="Restore the folder from git, or accept a new run of that experiment.",
            )
        if name not in (*ROLES, name_seed(arm)):
            raise BaselineError(
                f"{place / name} holds the arm of seed {arm.manifest.training.get('seed')!r:.100}.",
                why="An arm of a further seed is stored under that number.",
                fix="Restore the folder from git, or accept a new run.",
            )
        arms.append(arm)
    return arms


def require_storable(
    place: Path, *, why: str = "", force: bool = False, new_only: bool = False, ignored: Sequence[Path] = ()
) -> tuple[str | None, bool]:
    """Make sure that a baseline may be stored at a place; returns the commit, and whether force was needed.

    Args:
        place: the experiment's folder.
        why: why the stored baseline is replaced; the first needs no reason.
        force: also in CI, or from a work tree that differs from its commit.
        new_only: refuse to replace what is stored.
        ignored: folders whose changes do not make the work tree differ from its commit, as that of runs.

    Raises:
        BaselineError: it is refused.
    """
    checked = refuse_carelessness(place.parent, force=force, ignored=ignored)
    if place.exists() and new_only:
        raise BaselineError(f"{place} is stored already.", fix="Leave it, or replace it without new-only.")
    if place.exists() and not why.strip():
        raise BaselineError(
            f"{place} is stored already, and no reason is given to replace it.",
            why="Who finds another baseline in a year should find out why it changed.",
            fix="Look at the difference (harness baseline diff), then say why: --why on the command line, "
            "--harness-why in pytest.",
        )
    return checked


def store_baseline(
    folder: Path,
    new: Baseline,
    *,
    why: str = "",
    force: bool = False,
    new_only: bool = False,
    ignored: Sequence[Path] = (),
) -> Path:
    """Store the arms of a run as the baseline of their experiment; returns the experiment's folder.

    Args:
        folder: where baselines are stored.
        new: the arms.
        why: see `require_storable`, and so for what follows.
        force: it is written down where it was needed.
        new_only: refuse to replace what is stored.
        ignored: folders whose changes do not count.

    Raises:
        BaselineError: base and tuned say the same, or it is refused; nothing was changed.
    """
    if all(one.output == other.output for one, other in zip(new.base.rows, new.tuned.rows, strict=True)):
        raise BaselineError(
            f"Base and tuned say the same in all {len(new.base.rows)} rows.",
            why="Stored as the baseline, it would let every later failure pass.",
            fix="Store a run that learned something.",
        )
    place = place_inside(folder, new.base.manifest.experiment, "an experiment")
    named = {"base": new.base, "tuned": new.tuned, **{name_seed(arm): arm for arm in new.others}}
    with locked(folder):
        recover(place)
        commit, forced = require_storable(place, why=why, force=force, new_only=new_only, ignored=ignored)
        with whole_folder(place) as fresh:
            for name, arm in named.items():
                arm.write(fresh / name)
            approval = Approval(
                why=why.strip() or FIRST,
                commit=commit,
                forced=forced,
                stored=now(),
                arms=hash_manifests(fresh, list(named)),
            )
            write_approval(fresh, approval)
    return place


def list_baselines(folder: Path, experiment: str = "*") -> list[Arm]:
    """The stored arms of one experiment or of all, by experiment, role and seed.

    Raises:
        BaselineError: an arm is damaged or was edited.
    """
    return [Arm.read(place / name) for place in places(folder, experiment) for name in arm_names(place)]


def places(folder: Path, experiment: str = "*") -> list[Path]:
    """The folders of stored experiments."""
    found = sorted(folder.glob(experiment))
    return [place for place in found if place.is_dir() and place.name[0] != "." and place.name != BENCHMARKS]


def newest_run(runs: Path, experiment: str) -> Path:
    """The folder of an experiment's last run.

    Raises:
        BaselineError: there is none.
    """
    place = place_inside(runs, experiment, "an experiment")
    folders = sorted(folder for folder in place.glob("[!.]*") if (folder / "tuned").is_dir())
    if not folders:
        raise BaselineError(
            f'There is no run of "{experiment}" in {runs}.', fix="Run it first, or name the folder with --runs."
        )
    return folders[-1]
