"""Which experiment a stored baseline belongs to. One that none asks for looks like protection, and protects nothing."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Collection, Iterator
from pathlib import Path

from harness.atomic import locked
from harness.baselines.approval import APPROVAL_FILE, refuse_carelessness
from harness.baselines.store import arm_names, places
from harness.config import Experiment, load_experiment, presets
from harness.errors import SettingsError


def known_experiments(folder: Path) -> set[str]:
    """The names of the presets, and of the experiments whose TOML files stand in ``folder``."""
    return {*presets(), *(name for name, _ in _list_files(folder))}


def find_settings(folder: Path, name: str) -> Experiment:
    """The experiment of this name: of a TOML file in ``folder``, or else the preset.

    Raises:
        SettingsError: there is none, or its file is wrong.
    """
    own = next((str(path) for title, path in _list_files(folder) if title == name), None)
    if own is None and name not in presets():
        raise SettingsError(
            f'No TOML file in {folder} and no preset has the name "{name}".',
            why="Without its settings nothing says what the stored arm should be compared with.",
            fix="Name the folder of its file with --experiments.",
        )
    return load_experiment(own or name)


def _list_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """The experiments whose TOML files stand in a folder: name and file."""
    for path in sorted(folder.glob("*.toml")):
        try:
            name = tomllib.loads(path.read_text(encoding="utf-8-sig")).get("name")
        except (ValueError, OSError, RecursionError):
            continue
        if isinstance(name, str):
            yield name, path


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
