"""Stored baselines that no experiment asks for: they look like protection, and protect nothing."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Collection
from pathlib import Path

from harness.atomic import locked
from harness.baselines.approval import APPROVAL_FILE, refuse_carelessness
from harness.baselines.store import arm_names, places
from harness.config import presets


def known_experiments(folder: Path) -> set[str]:
    """The names of the presets, and of the experiments whose TOML files stand in ``folder``."""
    names = set(presets())
    for path in sorted(folder.glob("*.toml")):
        try:
            name = tomllib.loads(path.read_text(encoding="utf-8-sig")).get("name")
        except (ValueError, OSError, RecursionError):
            continue
        if isinstance(name, str):
            names.add(name)
    return names


def find_orphans(baselines: Path, known: Collection[str]) -> list[Path]:
    """What is stored and belongs to no known experiment, or is no part of a stored experiment.

    Args:
        baselines: where baselines are stored.
        known: the names of the experiments there are.
    """
    orphans = []
    for place in places(baselines):
        if place.name not in known:
            orphans.append(place)
            continue
        parts = {*arm_names(place), APPROVAL_FILE}
        orphans += [path for path in sorted(place.iterdir()) if path.name not in parts]
    return orphans


def prune(
    baselines: Path, known: Collection[str], *, force: bool = False, ignored: Collection[Path] = ()
) -> list[Path]:
    """Remove the orphans; returns what was removed.

    Raises:
        BaselineError: it is refused: this is CI, or the work tree differs from its commit.
    """
    refuse_carelessness(baselines, force=force, ignored=tuple(ignored))
    with locked(baselines):
        orphans = find_orphans(baselines, known)
        for orphan in orphans:
            if orphan.is_dir() and not orphan.is_symlink():
                shutil.rmtree(orphan)
            else:
                orphan.unlink()
    return orphans
