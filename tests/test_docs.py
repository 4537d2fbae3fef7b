"""What the documents say is what the commands print."""

from __future__ import annotations

import re
import runpy
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.checks.suite import audit, load_pipeline
from harness.cli import main

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "docs" / "examples"


@pytest.fixture
def in_examples(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The folder where the page runs its command; the script is imported anew."""
    monkeypatch.chdir(EXAMPLES)
    monkeypatch.syspath_prepend(EXAMPLES)
    yield
    sys.modules.pop("train_summaries", None)


@pytest.mark.slow
@pytest.mark.usefixtures("in_examples")
def test_audit_page_shows_what_the_command_prints(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The bug of the forty lines is found and named, in the very words of the page."""
    monkeypatch.setattr(sys, "argv", ["harness", "audit", "audit_summaries.py:pipeline"])
    assert main() == 1
    printed = [line for line in capfd.readouterr().out.splitlines() if not line.startswith(("✓", "- "))]
    page = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")
    shown = re.search(r"<!-- audit -->\n```\n(.*?)```\n<!-- end -->", page, re.DOTALL)
    assert shown
    assert "\n".join(printed).strip() == shown.group(1).strip()


@pytest.mark.slow
@pytest.mark.usefixtures("in_examples")
def test_script_passes_once_its_bug_is_mended() -> None:
    """With the padding masked nothing is left to complain about."""
    found = load_pipeline("audit_summaries.py:pipeline")
    assert found.encode
    encode, pad = found.encode, found.tokenizer.pad_token_id

    def mended(rows: list[Any]) -> list[dict[str, Any]]:
        return [
            {**feature, "labels": [label if label != pad else -100 for label in feature["labels"]]}
            for feature in encode(rows)
        ]

    module = sys.modules["train_summaries"]
    module.__dict__["encode"] = mended
    report = audit(replace(found, encode=mended))
    assert report.passed, str(report)


def test_script_runs_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script of the page is a script: it trains on a file of rows and saves the model."""
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"document": "A man spoke in Marl.", "summary": "A man spoke."}\n' * 8, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train_summaries.py", str(rows)])
    runpy.run_path(str(EXAMPLES / "train_summaries.py"), run_name="__main__")
    assert (tmp_path / "tuned" / "model.safetensors").is_file()


def test_readme_shows_the_table_of_the_matrix() -> None:
    """The README's table of defects is the one that the command wrote."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"<!-- defects: .*? -->\n(.*?)\n<!-- end -->", readme, re.DOTALL)
    assert shown
    assert shown.group(1).strip() == (ROOT / "docs" / "defects" / "matrix.md").read_text(encoding="utf-8").strip()
