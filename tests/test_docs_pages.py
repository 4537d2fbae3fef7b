"""The documents hold together: links lead somewhere, pages made from code are up to date, what they tell works."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import harness
from harness.checks.suite import all_checks
from harness.defects.catalogue import all_defects
from harness.defects.checks_page import find_remedies, write_checks_page

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
FENCED = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
MOST_LINES = 150


def find_links(text: str) -> list[str]:
    """The targets of all links that lead to this repository."""
    without = re.sub(r"`[^`\n]*`", "", FENCED.sub("", text))
    return [target for target in LINK.findall(without) if "://" not in target and not target.startswith("mailto:")]


def find_anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ +(.+)$", FENCED.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def find_broken(page: Path) -> Iterator[str]:
    """The links of a page that lead nowhere."""
    for link in find_links(page.read_text(encoding="utf-8")):
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        if not target.exists() or (anchor and anchor not in find_anchors(target)):
            yield link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_and_anchor_leads_somewhere(page: Path) -> None:
    """No page names a file or a heading that is not there."""
    assert list(find_broken(page)) == []


def test_broken_links_are_seen(tmp_path: Path) -> None:
    """A missing file, a missing heading; those of examples in code do not count."""
    page = tmp_path / "page.md"
    page.write_text(
        "# A b: `c`!\n[1](#a-b-c) [2](none.md) [3](#d)\n```\n[4](none)\n```\n`[5](none)` [6](https://a.b/c)\n"
    )
    assert list(find_broken(page)) == ["none.md", "#d"]


def test_readme_is_short() -> None:
    """What, why, two commands, one picture, the numbers; the rest stands in the documents."""
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= MOST_LINES


@pytest.mark.parametrize("name", ["README.md", "docs/index.md", "docs/checks.md"])
def test_checks_are_counted(name: str) -> None:
    """How many checks there are is told as it is."""
    text = (ROOT / name).read_text(encoding="utf-8")
    assert re.findall(r"(\d+) black-box", text) == [str(len(all_checks()))]


def test_numbers_of_the_readme_are_those_of_the_pages() -> None:
    """The table that stands in two places is the same in both."""
    table = r"<!-- calibration: xsum.*?<!-- end -->"
    found = [
        re.findall(table, (ROOT / name).read_text(encoding="utf-8"), re.DOTALL)
        for name in ("README.md", "docs/calibration.md")
    ]
    assert len(found[0]) == 1
    assert found[0] == found[1]


def test_reference_of_the_checks_is_up_to_date() -> None:
    """The page is what the command makes of the code and of what the matrix measured."""
    caught = json.loads((DOCS / "defects" / "caught.json").read_text(encoding="utf-8"))
    made = write_checks_page(caught)
    stale = (DOCS / "checks.md").read_text(encoding="utf-8") != made
    assert not stale, "run: python -m harness.defects.checks_page docs/checks.md"


@pytest.mark.slow
def test_what_was_caught_names_checks_and_defects_of_today() -> None:
    """Each check has caught something, each defect was caught, and none is of yesterday."""
    caught = json.loads((DOCS / "defects" / "caught.json").read_text(encoding="utf-8"))
    assert list(caught) == [check.name for check in all_checks()]
    assert all(caught.values())
    assert {name for names in caught.values() for name in names} == {entry.name for entry in all_defects()}


def test_every_check_says_what_to_do() -> None:
    """A remedy is found for each of them; of one, all that its code holds."""
    found = {check.name: find_remedies(check) for check in all_checks()}
    assert all(found.values())
    (remedies,) = [found[name] for name in found if name == "supervised-labels-decode-to-the-target"]
    assert "Set the labels of padding to -100, by position where pad and EOS are one token." in remedies


def test_every_public_name_stands_in_the_api() -> None:
    """No public name is left out of the page."""
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    shown = set(re.findall(r":: harness\.(\w+)", text, re.MULTILINE))
    assert {name for name in harness.__all__ if name != "HarnessError"} <= shown
    assert ".. automodule:: harness.errors" in text


def test_examples_of_recipes_are_sound() -> None:
    """Python compiles, YAML loads."""
    text = (DOCS / "recipes.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL)
    for language, body in blocks:
        if language == "python":
            compile(body, "recipes.md", "exec")
        if language == "yaml":
            assert yaml.safe_load(body)
    assert {"python", "yaml", "bash", "toml"} == {language for language, _ in blocks}


STRATEGY = re.compile(r"harness run --strategy \w+ --tasks (\S+)(?: --model (\S+))?")


@pytest.mark.parametrize("name", ["recipes.md", "strategies/README.md"])
def test_tasks_that_are_named_together_fit_one_model(name: str) -> None:
    """Each command for several tasks names some that its model can be put to."""
    from harness.cli.strategies import choose_multitask  # noqa: PLC0415 - it loads torch
    from harness.sweeps.bench import find_clash  # noqa: PLC0415

    commands = STRATEGY.findall((DOCS / name).read_text(encoding="utf-8"))
    assert commands
    for tasks, model in commands:
        series = choose_multitask(None, tasks, model or None).override({"model.name": model} if model else {})
        assert [find_clash(task) for task in series.tasks] == [None] * len(tasks.split(","))


def test_own_training_function_of_the_recipes_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipe's own lines train a copy, and the run ends with a verdict."""
    from tests.small import small_experiment  # noqa: PLC0415 - it loads torch

    text = (DOCS / "recipes.md").read_text(encoding="utf-8")
    (code,) = [body for body in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "def train" in body]
    monkeypatch.setattr(harness, "load_experiment", small_experiment, raising=False)
    done: dict[str, harness.Run] = {}
    exec(compile(code, "recipes.md", "exec"), done)  # noqa: S102 - the page's own lines
    assert done["done"].tuned.manifest.model.weights != done["done"].base.manifest.model.weights
    assert len(done["done"].losses) == 4


def plain(text: str) -> str:
    """A text without its numbers, lines of a table and breaks, which differ from machine to machine."""
    return " ".join(re.sub(r"[-+]?\d[\d,.]*|─+", "#", text).split())


class Tutorial:
    """The folder in which the page's commands run, as a reader types them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        names = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in
                 (("NAME", "Reader"), ("EMAIL", "reader@example.org"))}  # fmt: skip
        kept = {name: value for name, value in os.environ.items() if name not in {"CI", "PYTEST_ADDOPTS"}}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = {**kept, **names, "PATH": path, "OMP_NUM_THREADS": "1"}

    def write(self, script: str) -> None:
        """Write the page's script."""
        (self.folder / "make_rows.py").write_text(script, encoding="utf-8")

    def edit(self, change: str) -> None:
        """Do what a diff of one line says."""
        old, new = (line[1:] for line in change.splitlines())
        path = self.folder / "harness.toml"
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1
        path.write_text(text.replace(old, new), encoding="utf-8")

    def type(self, block: str) -> None:
        """Run the commands of a block; what the page shows must be what they print, but for numbers."""
        lines = block.splitlines()
        commands = "\n".join(line[2:] for line in lines if line.startswith("$ "))
        shown = [line for line in lines if not line.startswith("$ ") and line != "..."]
        done = subprocess.run(
            ["bash", "-c", commands], cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        printed = plain(done.stderr + done.stdout)
        for line in shown:
            assert plain(line) in printed, f"{commands}\n{done.stderr}{done.stdout}"
        if "echo $?" in commands:
            assert done.stdout.split()[-1] == shown[-1]
        else:
            assert done.returncode == 0, done.stderr + done.stdout


@pytest.mark.parametrize("block", ["$ echo seen\nshown\n", "$ false\n", "$ true\n$ echo $?\n1\n"])
def test_tutorial_that_shows_something_else_is_seen(tmp_path: Path, block: str) -> None:
    """Another text, a command that fails, another exit code; numbers may differ."""
    tutorial = Tutorial(tmp_path / "folder")
    tutorial.type("$ printf 'a  1.5 b\\n'\na 2 b\n$ echo $?\n0\n")
    with pytest.raises(AssertionError):
        tutorial.type(block)


@pytest.mark.slow
def test_tutorial_works_as_it_stands(tmp_path: Path) -> None:
    """Every command of the page runs in its order, prints what the page shows, and ends with the code that it names."""
    tutorial = Tutorial(tmp_path / "help-desk")
    do = {"python": tutorial.write, "diff": tutorial.edit, "console": tutorial.type}
    blocks = re.findall(r"```(\w+)\n(.*?)```", (DOCS / "tutorial.md").read_text(encoding="utf-8"), re.DOTALL)
    assert [language for language, _ in blocks].count("console") >= 7
    for language, body in blocks:
        do[language](body)


@pytest.mark.slow
def test_notebook_shows_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """The notebook runs from top to bottom and prints what is stored in it, but for numbers and the models' words."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
    page = runpy.run_path(str(DOCS / "refresh_notebook.py"))
    stored = json.loads((DOCS / "notebook.ipynb").read_text(encoding="utf-8"))["cells"]
    now = page["run_notebook"]()["cells"]
    assert [say_outputs(cell) for cell in now] == [say_outputs(cell) for cell in stored]
    told = "".join(text for cell in now for text in say_outputs(cell))
    assert "BaseChangedError" in told
    assert "supervised-labels-decode-to-the-target failed" in told


def say_outputs(cell: dict[str, object]) -> str:
    """What a cell printed, plain; hashes and what the models wrote differ from machine to machine.

    As one text: a slow machine sends it in more pieces.
    """
    pieces = ["".join(output["text"]) for output in cell.get("outputs", []) if output["output_type"] == "stream"]  # type: ignore[attr-defined]
    return plain(re.sub(r"^(base|tuned): .*$|\b[0-9a-f]{8}…", "", "".join(pieces), flags=re.MULTILINE))
