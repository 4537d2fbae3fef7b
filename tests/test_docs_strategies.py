"""The pages of the strategies say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.multitask import Multitask, load_multitask
from harness.report.settings import fill_settings, list_settings
from harness.report.several import require_place
from harness.settings import Settings
from harness.strategies import STRATEGIES
from harness.strategies.sentences import EXAMPLES, parse_sentence

FOLDER = Path(__file__).parents[1] / "docs" / "strategies"
PAGES = [name for name in STRATEGIES if name != "single"]
"""One model a task is what the others are measured by; the index says so."""


@pytest.mark.parametrize("name", PAGES)
def test_each_strategy_has_its_page(name: str) -> None:
    """Objective, idea, when and when not, settings as they are today, and sources; and the index leads to it."""
    text = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    for part in (
        "**Objective.**",
        "**Idea.**",
        "**When.**",
        "**When not.**",
        f"settings: multitask.{name} -->",
        "**Sources.**",
    ):
        assert part in text
    assert fill_settings(text) == text, f"run: python -m harness.report.settings docs/strategies/{name}.md"
    assert f"]({name}.md)" in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_every_group_of_settings_stands_on_its_page() -> None:
    """No group is left out, and no line lacks its meaning."""
    groups = [
        name
        for name, field in Multitask.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, Settings) and name != "gate"
    ]
    assert set(groups) <= set(PAGES)
    for name in groups:
        assert [line for line, _, meaning in list_settings(f"multitask.{name}") if not meaning] == []


def test_group_of_tasks_is_not_that_of_an_experiment() -> None:
    """Both have adapters, with other settings."""
    assert "`adapters.method`" in {name for name, _, _ in list_settings("multitask.adapters")}
    assert "`adapters.method`" not in {name for name, _, _ in list_settings("adapters")}


def test_links_lead_somewhere_and_tables_have_a_place() -> None:
    """No page names a file that is not there, and ``--table`` finds its marks."""
    for page in FOLDER.glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+\.md)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).is_file(), f"{page.name}: {target}"
    require_place(FOLDER / "README.md")


def test_example_of_composing_is_what_the_code_offers() -> None:
    """The example of the page is compiled, and the names that it imports are there."""
    (code,) = re.findall(r"```python\n(.*?)```", (FOLDER / "adapters.md").read_text(encoding="utf-8"), re.DOTALL)
    imports = "\n".join(line for line in code.splitlines() if line.startswith(("from ", "import ")))
    exec(compile(imports, "adapters.md", "exec"), {})  # noqa: S102 - the page's own lines
    compile(code, "adapters.md", "exec")


def test_every_form_of_sentence_is_shown_and_understood() -> None:
    """The sentences of the page are those that the error message proposes, each of which is understood."""
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| `([^`]+)` \| ", text, re.MULTILINE)
    assert set(shown) == set(EXAMPLES)
    assert all(parse_sentence(sentence).text == sentence for sentence in shown)


def test_series_of_the_page_can_be_read(tmp_path: Path) -> None:
    """The file of the page has two tasks on one model, with what is common to them."""
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    (series,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "series.toml").write_text(series, encoding="utf-8")
    found = load_multitask(str(tmp_path / "series.toml"))
    assert [task.name for task in found.tasks] == ["tickets", "replies"]
    assert {(task.model.name, task.training.epochs) for task in found.tasks} == {("my-checkpoint", 3)}
    assert [task.training.epochs for task in found.override({"tickets.training.epochs": 2}).tasks] == [2, 3]
