"""The pages of the methods say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.config import Experiment
from harness.methods import METHODS
from harness.report.settings import fill_settings, list_settings
from harness.report.several import require_place
from harness.settings import Settings

FOLDER = Path(__file__).parents[1] / "docs" / "methods"
PAGES = [*sorted(FOLDER.glob("*.md")), FOLDER.parent / "settings.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
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


def test_every_setting_has_its_line_and_its_meaning() -> None:
    """Each setting of an experiment, in a group or not, stands in exactly one table, and says what it does."""
    shown = [group for page in PAGES for group in re.findall("<!-- settings: ([a-z.]+)", page.read_text())]
    lines = [line for group in shown if group not in {"full", "none"} for line in list_settings(group)]
    assert sorted(name.strip("`") for name, _, _ in lines) == sorted(list_names(Experiment))
    assert [name for name, _, meaning in lines if not meaning] == []


def list_names(kind: type[Settings], before: str = "") -> list[str]:
    """The names of all settings, those of groups within groups as well."""
    names = []
    for name, field in kind.model_fields.items():
        inner = field.annotation
        is_group = isinstance(inner, type) and issubclass(inner, Settings)
        names += list_names(inner, f"{before}{name}.") if is_group else [f"{before}{name}"]
    return names


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
