"""The examples in docstrings."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import harness

FOLDER = Path(harness.__file__).parent
MODULES = sorted(
    ".".join(["harness", *path.relative_to(FOLDER).with_suffix("").parts])
    for path in FOLDER.rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_say_what_comes_out(name: str) -> None:
    """Each example of the module prints what stands below it."""
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted > 0
    assert found.failed == 0


def test_main_names_have_examples() -> None:
    """Settings, rows, errors, checks and statistics show how they are used."""
    assert {"config", "errors", "requirements", "data.rows", "checks.suite", "statistics.flips"} <= {
        name.removeprefix("harness.") for name in MODULES
    }
