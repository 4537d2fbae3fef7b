"""The oldest versions that are tested are the lower bounds that the package names."""

from __future__ import annotations

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.floors import ROOT, pin_floors


def test_the_oldest_environment_is_that_of_pyproject() -> None:
    """``constraints-oldest.txt`` is what the command makes of ``pyproject.toml``."""
    made = pin_floors((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert (ROOT / "constraints-oldest.txt").read_text(encoding="utf-8") == made


def test_the_newest_versions_are_at_or_above_the_oldest() -> None:
    """The two lists of constraints name the same libraries, and nothing is both newest and too old."""

    def read(name: str) -> dict[str, Version]:
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        found = [Requirement(line) for line in lines if line and not line.startswith("#")]
        return {one.name: Version(next(iter(one.specifier)).version) for one in found}

    oldest, newest = read("constraints-oldest.txt"), read("constraints.txt")
    assert set(oldest) <= set(newest)
    assert all(version <= newest[name] for name, version in oldest.items())


def test_a_dependency_without_a_lower_bound_is_refused() -> None:
    """What has no floor cannot be tested at it."""
    with pytest.raises(ValueError, match="torch needs one lower bound"):
        pin_floors('[project]\ndependencies = ["torch"]\n[project.optional-dependencies]\n')
