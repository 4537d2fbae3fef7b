"""Evaluation on several processes: the rows of one process, to the byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.arm import MANIFEST_FILE, ROWS_FILE
from tests.distributed.evaluate import ASKED, CASES
from tests.distributed.launch import HERE, launch, require_success

pytestmark = pytest.mark.distributed


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The arms that one process makes."""
    folder = tmp_path_factory.mktemp("alone")
    require_success(launch(1, HERE / "evaluate.py", folder))
    return folder


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The arms that three make, of 13 rows in batches of 4, and of one row."""
    folder = tmp_path_factory.mktemp("together")
    require_success(launch(3, HERE / "evaluate.py", folder))
    return folder


@pytest.mark.parametrize("case", CASES)
def test_outputs_and_scores_are_those_of_one_process(alone: Path, together: Path, case: str) -> None:
    """Ids, outputs and per-row scores stand in the same file, byte for byte; of both arms where none is trained."""
    asked = CASES[case][1].get("method") == ASKED["method"]
    for role in ("base", "tuned") if asked else ("base",):
        one, several = ((folder / case / role / ROWS_FILE).read_bytes() for folder in (alone, together))
        assert one.count(b"\n") == CASES[case][1]["data.eval_rows"]
        assert one == several


def test_manifest_says_how_many_processes(alone: Path, together: Path) -> None:
    """The environment of an arm names their number where there are several."""
    assert '"processes": "3"' in (together / "tags" / "tuned" / MANIFEST_FILE).read_text(encoding="utf-8")
    assert '"processes"' not in (alone / "tags" / "tuned" / MANIFEST_FILE).read_text(encoding="utf-8")
