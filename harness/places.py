"""Folders named from outside, which must lie where all the others lie."""

from __future__ import annotations

from pathlib import Path, PureWindowsPath

from harness.errors import UsageError
from harness.settings import require_name


def place_inside(folder: Path, name: str, what: str) -> Path:
    """The folder of that name in another, whether it is there or not.

    Args:
        folder: chosen by whoever runs the harness; it may be a link.
        name: from settings, a command line or a manifest.
        what: what has that name, for the message.

    Raises:
        UsageError: the name would lead out of the folder, or stands for a link.
    """
    require_name(name, what)
    place = folder / name
    if place.is_symlink():
        raise UsageError(
            f"{place} is a link to {place.readlink()}.",
            why=f"What is read or written under the name of {what} would lie outside of {folder}.",
            fix=f"Put the folder itself there, or make {folder} the link.",
        )
    return place


def is_own_file(name: object) -> bool:
    """Whether a name that stands in a file means one beside it: a plain name on every system, and no way elsewhere."""
    return isinstance(name, str) and name == PureWindowsPath(name).name and name != ".."
