"""The tables of the documents are what the command prints; the README shows one of them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from harness.cli import main

ROOT = Path(__file__).parents[2]
TABLES = re.findall(
    r"<!-- calibration: ([^\n]*) -->\n(.*?)<!-- end -->",
    (ROOT / "docs" / "calibration.md").read_text(encoding="utf-8"),
    re.DOTALL,
)


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "table"), TABLES, ids=["xsum", "wmt"])
def test_table_is_made_by_the_command(
    arguments: str,
    table: str,
    shared_data: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """The lines for 20 and 100 rows come out again, to the digit; those behind them take longer."""
    monkeypatch.chdir(tmp_path)
    words = [str(shared_data / word) if word.endswith(".gz") else word for word in arguments.split()]
    monkeypatch.setattr(sys, "argv", ["harness", "calibrate", *words, "--markdown", "--rows", "20,100"])
    assert not main()
    assert table.startswith(capsys.readouterr().out)
    assert table.count("\n") == 10
