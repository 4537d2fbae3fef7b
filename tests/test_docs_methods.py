"""The pages of the methods say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.config import Experiment
from harness.methods import METHODS
from harness.report.settings import fill_settings, list_settings
from harness.report.several import require_place

FOLDER = Path(__file__).parents[1] / "docs" / "methods"
GROUPS = [name for name, field in Experiment.model_fields.items() if isinstance(field.annotation, type)]


@pytest.mark.parametrize("page", sorted(FOLDER.glob("*.md")), ids=lambda page: page.stem)
def test_tables_are_those_of_the_settings(page: Path) -> None:
    """Each table of settings is what the command makes of ``harness/config.py`` today."""
    text = page.read_text(encoding="utf-8")
    assert fill_settings(text) == text, f"run: python -m harness.report.settings {page.relative_to(FOLDER.parents[1])}"


@pytest.mark.parametrize("name", list(METHODS))
def test_each_method_has_its_page(name: str) -> None:
    """Objective, idea, when and when not, settings and sources; and the index leads to it."""
    text = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    for part in ("**Objective.**", "**Idea.**", "**When.**", "**When not.**", "<!-- settings: ", "**Sources.**"):
        assert part in text
    assert f"]({name}.md)" in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_every_setting_of_a_method_is_explained() -> None:
    """No line of a table lacks its meaning."""
    shown = [group for page in FOLDER.glob("*.md") for group in re.findall("<!-- settings: ([a-z]+)", page.read_text())]
    assert "training" in shown
    for group in set(shown) & set(Experiment.model_fields):
        assert [name for name, _, meaning in list_settings(group) if not meaning] == []


def test_changed_setting_changes_the_table() -> None:
    """A table that says something else is made anew, and all around it stays."""
    text = "# T\n<!-- settings: training -->\n| old |\n<!-- end -->\nrest\n<!-- settings: none -->\n<!-- end -->\n"
    filled = fill_settings(text)
    assert filled.startswith("# T\n<!-- settings: training -->\n| setting | default | meaning |")
    assert "| `training.learning_rate` | `0.001` |" in filled
    assert filled.endswith("<!-- end -->\nrest\n<!-- settings: none -->\nNone of its own.\n<!-- end -->\n")


def test_index_has_a_place_for_the_measured_tables() -> None:
    """``--table`` finds its marks."""
    require_place(FOLDER / "README.md")
