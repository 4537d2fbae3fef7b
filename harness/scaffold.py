"""The files with which a project starts: settings, tests, a place for baselines, what CI, tox and git read."""

from __future__ import annotations

import os
import re
from importlib import resources
from pathlib import Path

from harness.errors import UsageError
from harness.settings import require_name, why_unsafe

FILES = {
    "harness.toml": "harness.toml.in",
    "tests/test_finetuned_model.py": "test_finetuned_model.py.in",
    "baselines/README.md": "baselines.md.in",
    ".github/workflows/fine-tuning.yml": "workflow.yml.in",
    "tox.ini": "tox.ini.in",
    ".gitignore": "gitignore.in",
}
"""Place in the project to template."""
IGNORED = ".gitignore"
"""The one file that most folders have already: it stays as it is, and stops nothing."""


def write_project(folder: Path, *, name: str | None = None) -> list[Path]:
    """Write every file, or none where one of them is there already; only a ``.gitignore`` may be.

    Args:
        folder: the project's folder; it is made where there is none.
        name: the experiment's name; made of the folder's name by default.

    Returns:
        The new files.

    Raises:
        UsageError: a file is in the way, the folder cannot be written, or no experiment can have that name.
    """
    if name is not None:
        require_name(name, "an experiment")
    targets = {
        folder / place: template
        for place, template in FILES.items()
        if place != IGNORED or not os.path.lexists(folder / IGNORED)
    }
    in_the_way = [str(path) for path in _occupied(folder, targets)]
    if in_the_way:
        raise UsageError(
            f"There already: {', '.join(in_the_way)}. Nothing was written.",
            why="harness init overwrites nothing.",
            fix="Move it away, or start in another folder: harness init FOLDER.",
        )
    texts = {path: _fill(template, name_after(folder) if name is None else name) for path, template in targets.items()}
    written: list[Path] = []
    try:
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8", newline="\n") as file:
                written.append(path)
                file.write(text)
    except OSError as error:
        for path in written:
            path.unlink()
        raise UsageError(
            f"{error.filename} cannot be written: {error.strerror}.", fix="Choose another folder."
        ) from error
    return written


def name_after(folder: Path) -> str:
    """An experiment's name after a folder's."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", folder.absolute().name)[:100].strip("-._")
    return "fine-tuning" if why_unsafe(plain) else plain


def _occupied(folder: Path, targets: dict[Path, str]) -> list[Path]:
    """What is in the way: the files themselves, and anything but a folder where one is needed; links lead elsewhere."""
    found = [path for path in targets if os.path.lexists(path)]
    parents = {parent for path in targets for parent in path.parents if parent == folder or folder in parent.parents}
    wrong = [each for each in parents if os.path.lexists(each) and not each.is_dir()]
    links = [each for each in parents - {folder} if each.is_symlink() and each.is_dir()]
    return [*found, *sorted(wrong + links)]


def _fill(template: str, name: str) -> str:
    text = (resources.files("harness") / "project" / template).read_text(encoding="utf-8")
    return text.replace("{name}", name)
