"""The lower bounds of ``pyproject.toml`` as pip's constraints: ``python -m tests.floors > constraints-oldest.txt``."""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
HEAD = "# The oldest versions that are tested, made of pyproject.toml: python -m tests.floors > constraints-oldest.txt"
NOT_INSTALLED = ("docs", "fuzz", "lint")
"""The extras of those who work on the harness: the environments do without."""


def pin_floors(pyproject: str) -> str:
    """Each dependency and its lower bound, a line each, in order of the names.

    Args:
        pyproject: the text of the file.

    Raises:
        ValueError: a dependency has no lower bound, or two.
    """
    project = tomllib.loads(pyproject)["project"]
    extras = project["optional-dependencies"]
    named = [
        *project["dependencies"],
        *(one for extra in extras if extra not in NOT_INSTALLED for one in extras[extra]),
    ]
    return "\n".join([HEAD, *sorted({_pin(one) for one in named}, key=str.lower), ""])


def _pin(dependency: str) -> str:
    requirement = Requirement(dependency)
    floors = {bound.version for bound in requirement.specifier if bound.operator == ">="}
    if len(floors) != 1:
        raise ValueError(f"{dependency} needs one lower bound")
    return f"{requirement.name}=={floors.pop()}"


if __name__ == "__main__":
    print(pin_floors((ROOT / "pyproject.toml").read_text(encoding="utf-8")), end="")  # noqa: T201 - its output
