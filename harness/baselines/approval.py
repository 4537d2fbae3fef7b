"""Who may store a baseline, and what is written down of it: why, and from which commit."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from harness.arm import MANIFEST_FILE
from harness.config import Settings
from harness.errors import BaselineError
from harness.fingerprint import hash_file, hash_json

APPROVAL_FILE = "approval.json"
NOT_CI = {"", "0", "false"}


class Approval(Settings):
    """Why a baseline was stored."""

    why: str
    commit: str | None
    """The commit of the work tree; nothing where there is no git."""
    forced: bool
    """Whether it was stored in CI, or from a work tree that differed from its commit."""
    stored: str
    """When, in UTC."""
    arms: dict[str, str]
    """SHA-256 of each arm's manifest, by the arm's folder."""


def refuse_carelessness(folder: Path, *, force: bool, ignored: Sequence[Path] = ()) -> tuple[str | None, bool]:
    """Make sure that somebody looks at what is stored, and can come back to what made it.

    Args:
        folder: where baselines are stored.
        force: go on all the same.
        ignored: folders whose changes do not count; those of ``folder`` never do.

    Returns:
        The commit, and whether force was needed.

    Raises:
        BaselineError: this is CI, or the work tree differs from its commit.
    """
    if os.environ.get("CI", "").lower() not in NOT_CI:
        if not force:
            raise BaselineError(
                "The variable CI is set, and baselines are not changed in CI.",
                why="A check that stores what it should check never fails.",
                fix="Do it on your own machine, look at the difference, and commit it; or force it.",
            )
        return _read_commit(folder), True
    changed = _list_changes(folder, ignored)
    if changed and not force:
        shown = ", ".join(changed[:3]) + f" and {len(changed) - 3} more" * (len(changed) > len(changed[:3]))
        raise BaselineError(
            f"The work tree differs from its commit in {len(changed)} file{'s' * (len(changed) > 1)}: {shown}.",
            why="Nobody could come back to what made this baseline.",
            fix="Commit or discard the changes first; or force it.",
        )
    return _read_commit(folder), bool(changed)


def write_approval(place: Path, approval: Approval) -> None:
    """Write it beside the arms."""
    content = approval.model_dump()
    content["sha256"] = hash_json(content)
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    (place / APPROVAL_FILE).write_text(text, encoding="utf-8", newline="\n")


def read_approval(place: Path) -> Approval | None:
    """Read it, and make sure that the arms are those that were approved; nothing where none was written.

    Raises:
        BaselineError: it was edited, or an arm was put in another's place.
    """
    path = place / APPROVAL_FILE
    if not os.path.lexists(path):
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        intact = isinstance(content, dict) and content.pop("sha256", None) == hash_json(content)
        approval = Approval.model_validate(content)
    except (OSError, ValueError, ValidationError) as error:
        raise BaselineError(f"{path} is damaged: {error}.", fix="Restore it from git.") from error
    if not intact:
        raise BaselineError(
            f"{path} does not match its own hash: it was edited or cut short.", fix="Restore it from git."
        )
    if (found := hash_manifests(place, approval.arms)) != approval.arms:
        other = next(name for name, value in approval.arms.items() if found[name] != value)
        raise BaselineError(
            f"{place / other} is not the arm that {path} approved.",
            why="An arm was put in the place of the one that was reviewed.",
            fix="Restore the folder from git, or accept a new run.",
        )
    return approval


def hash_manifests(place: Path, arms: Sequence[str] | dict[str, str]) -> dict[str, str]:
    """SHA-256 of each arm's manifest; empty where it cannot be read."""
    return {name: _hash_if_readable(place / name / MANIFEST_FILE) for name in arms}


def now() -> str:
    """The time, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _hash_if_readable(path: Path) -> str:
    try:
        return hash_file(path)
    except OSError:
        return ""


def _read_commit(folder: Path) -> str | None:
    return _git(folder, "rev-parse", "HEAD")


def _list_changes(folder: Path, ignored: Sequence[Path]) -> list[str]:
    """Files of the work tree that differ from the commit or are unknown to it."""
    top = _git(folder, "rev-parse", "--show-toplevel")
    if top is None:
        return []
    inside = [path.resolve() for path in (folder, *ignored) if path.resolve().is_relative_to(Path(top).resolve())]
    excluded = [f":(exclude){path.relative_to(Path(top).resolve())}" for path in inside]
    excluded.append(":(exclude,glob)**/__pycache__/**")
    listed = _git(Path(top), "status", "--porcelain", "--untracked-files=all", "--", ".", *excluded) or ""
    return [line.lstrip().partition(" ")[2].strip() for line in listed.splitlines()]


def _git(folder: Path, *arguments: str) -> str | None:
    """What git says; nothing where there is no git or no work tree.

    The settings of a repository may name programs for git to start. Whoever looks at the baselines of somebody else
    wants none of them.
    """
    place = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.is_dir())
    try:
        done = subprocess.run(  # noqa: S603 - fixed words and paths of our own
            ["git", "-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", "-C", str(place), *arguments],  # noqa: S607 - the user's git
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
