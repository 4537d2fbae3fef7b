"""Arms on disk: whole, diffable, and no damage goes unseen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.arm import Arm, ScoredRow
from harness.errors import BaselineError
from tests.arms import make_arm

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.lists(st.tuples(TEXTS, st.floats(0, 100))))
def test_arm_read_equals_arm_written(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, float]]) -> None:
    """Any outputs and scores come back as they were, odd line breaks and all."""
    arm = make_arm([round(score, 4) for _, score in rows], outputs=[text for text, _ in rows])
    folder = tmp_path_factory.mktemp("arm") / "base"
    arm.write(folder)
    assert Arm.read(folder) == arm


def test_one_row_a_line_in_row_order(tmp_path: Path) -> None:
    """A changed output changes one line, so a diff shows which rows moved."""
    make_arm([1.0, 2.0, 3.0], outputs=["a", "b\nc", "d"]).write(tmp_path / "one")
    make_arm([1.0, 2.5, 3.0], outputs=["a", "x", "d"]).write(tmp_path / "other")
    one, other = ((tmp_path / name / "rows.jsonl").read_text(encoding="utf-8").split("\n") for name in ("one", "other"))
    assert len(one) == 4
    assert [number for number in range(4) if one[number] != other[number]] == [1]
    assert list(json.loads(one[0])) == sorted(json.loads(one[0]))


def test_writing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    """Equal arms are equal files."""
    for _ in range(2):
        make_arm([1.0, 2.0]).write(tmp_path / "base")
        first = {path.name: path.read_bytes() for path in (tmp_path / "base").iterdir()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "base").iterdir()} == first


@pytest.mark.parametrize("name", ["manifest.json", "rows.jsonl"])
@given(data=st.data())
def test_any_changed_byte_is_seen(tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject) -> None:
    """Whatever byte of whatever file changes, or wherever it is cut, reading fails and names the file."""
    folder = tmp_path_factory.mktemp("arm") / "base"
    arm = make_arm([1.0, 2.0], outputs=["a", "é"])
    arm.write(folder)
    content = bytearray((folder / name).read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        del content[place:]
    else:
        content[place] ^= data.draw(st.integers(1, 255))
    (folder / name).write_bytes(content)
    try:
        assert Arm.read(folder) == arm  # a blank turned into another blank says the same
    except BaselineError as error:
        assert str(folder) in str(error)  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize("change", ["reverse", "drop", "id", "score", "no score", "mean"])
def test_arm_that_contradicts_itself_is_refused(tmp_path: Path, change: str) -> None:
    """Rows that are not the manifest's, or scores that are not their mean, are found even where hashes were redone."""
    arm = make_arm([1.0, 2.0, 6.0])
    rows, scores = list(arm.rows), dict(arm.manifest.scores)
    if change == "reverse":
        rows.reverse()
    elif change == "drop":
        rows.pop()
    elif change == "mean":
        scores["rouge1"] = 50.0
    else:
        update = {"id": {"id": "9"}, "score": {"scores": {"rouge1": 99.0}}, "no score": {"scores": {}}}[change]
        rows[0] = rows[0].model_copy(update=update)
    manifest = arm.manifest.model_copy(update={"scores": scores})
    arm.model_copy(update={"rows": tuple(rows), "manifest": manifest}).write(tmp_path)
    with pytest.raises(BaselineError, match="is no whole arm"):
        Arm.read(tmp_path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    """A missing file is an error that names it and says what to do."""
    make_arm([1.0]).write(tmp_path / "base")
    (tmp_path / "base" / "rows.jsonl").unlink()
    with pytest.raises(BaselineError, match=r"rows\.jsonl is missing\. Restore it from git"):
        Arm.read(tmp_path / "base")


def test_score_matrix_has_a_row_a_row() -> None:
    """Scores come as (rows, metrics) in the asked order."""
    arm = make_arm([1.0, 2.0])
    assert arm.score_matrix(("rouge1",)).tolist() == [[1.0], [2.0]]
    assert arm.rows[0] == ScoredRow(id="0", hash="hash-0", output="output 0", scores={"rouge1": 1.0})
