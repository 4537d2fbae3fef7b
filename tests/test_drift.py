"""Stored bases scored anew: what is unchanged, what moved, and what cannot be compared."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.arm import Arm, mean_score
from harness.baselines import Baseline, store_baseline
from harness.cli import main
from harness.config import Experiment, load_experiment
from harness.drift import Movement, check_baselines, compare_bases, score_base
from harness.errors import BaselineError
from harness.gate import ExitCode
from harness.report.drift import say_drift
from harness.report.versions import tabulate_versions
from harness.requirements import Status

SETTINGS = """
name = "mine"
data = {train_rows = 16, eval_rows = 8}
generation = {max_length = 16}
gate = {flips = 1000, require = ["base must not drift by more than 1"]}
"""
Change = Callable[[Arm], Arm]


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    """Eight rows of newsroom."""
    file = tmp_path_factory.mktemp("settings") / "harness.toml"
    file.write_text(SETTINGS, encoding="utf-8")
    return load_experiment(str(file))


@pytest.fixture(scope="module")
def base(experiment: Experiment) -> Arm:
    """The base's arm, as it is."""
    return score_base(experiment)


def shift(points: float, *, rows: int = 8, outputs: bool = True) -> Change:
    """Some rows of another score, and most often of another output."""

    def change(arm: Arm) -> Arm:
        moved = tuple(
            row.model_copy(
                update={
                    "output": f"{row.output} once" if outputs else row.output,
                    "scores": {name: score + points for name, score in row.scores.items()},
                }
            )
            if number < rows
            else row
            for number, row in enumerate(arm.rows)
        )
        scores = {name: mean_score([row.scores[name] for row in moved]) for name in arm.manifest.scores}
        return Arm(manifest=arm.manifest.model_copy(update={"scores": scores}), rows=moved)

    return change


def say_nothing_new(arm: Arm) -> Arm:
    return arm


def change_weights(arm: Arm) -> Arm:
    model = arm.manifest.model.model_copy(update={"weights": "0" * 64})
    return arm.model_copy(update={"manifest": arm.manifest.model_copy(update={"model": model})})


def change_signature(arm: Arm) -> Arm:
    metrics = {name: f"{signature}|old" for name, signature in arm.manifest.metrics.items()}
    return arm.model_copy(update={"manifest": arm.manifest.model_copy(update={"metrics": metrics})})


def pair(base: Arm) -> Baseline:
    manifest = base.manifest.model_copy(update={"role": "tuned", "training": {"seed": 42}})
    return Baseline(base=base, tuned=shift(1.0)(base.model_copy(update={"manifest": manifest})))


@pytest.mark.parametrize(
    ("change", "movement", "status", "code"),
    [
        (say_nothing_new, Movement.UNCHANGED, Status.HOLDS, ExitCode.PASSED),
        (shift(5.0), Movement.MOVED, Status.FAILS, ExitCode.FAILED),
        (shift(-5.0), Movement.MOVED, Status.FAILS, ExitCode.FAILED),
        (shift(0.1), Movement.MOVED, Status.HOLDS, ExitCode.PASSED),
        (shift(20.0, rows=2), Movement.MOVED, Status.UNDECIDED, ExitCode.INCONCLUSIVE),
        (shift(5.0, outputs=False), Movement.MOVED, Status.FAILS, ExitCode.FAILED),
        (change_weights, Movement.MOVED, Status.FAILS, ExitCode.FAILED),
        (change_signature, Movement.NOT_COMPARABLE, Status.NOT_COMPARABLE, ExitCode.NOT_COMPARABLE),
    ],
    ids=["same", "fell", "rose", "a little", "few rows", "metric alone", "weights", "signature"],
)
def test_a_planted_drift_is_seen(
    experiment: Experiment, base: Arm, change: Change, movement: Movement, status: Status, code: ExitCode
) -> None:
    """Of what was stored otherwise, each is told apart: outputs, scores, weights, and what forbids a comparison."""
    found = compare_bases(experiment, base, pair(change(base)))
    assert (found.movement, found.status, found.exit_code) == (movement, status, code)
    assert found.sentence == "base must not drift by more than 1"


def test_what_moved_is_told_with_numbers(experiment: Experiment, base: Arm) -> None:
    """How many outputs, how far each score, which part is another; the parts also where signatures forbid a verdict."""
    stored = shift(4.0, rows=2)(base)
    for arm in (stored, change_signature(stored)):
        told = compare_bases(experiment, base, pair(arm)).as_json()
        assert told["same"] == {"weights": True, "tokenizer": True, "rows": True, "outputs": False}
        assert told.get("changed") == (2 if arm is stored else None)
        score = told["scores"]["rouge1"]
        assert score["now"] - score["stored"] == pytest.approx(-1.0, abs=1e-3)
        assert ("p" in score) == (arm is stored)


@pytest.fixture
def project(tmp_path: Path, base: Arm, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one experiment, its baseline as it should be."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "harness.toml").write_text(SETTINGS, encoding="utf-8")
    store_baseline(tmp_path / "baselines", pair(base))
    return tmp_path


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["harness", "baseline", *arguments])
    return int(main() or 0)


def test_the_command_checks_what_is_stored(
    project: Path, base: Arm, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Scored anew an honest baseline is unchanged; a drifted one fails; the page shows both."""
    assert call(monkeypatch, "check", "--json", "--write", "records/now.json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((project / "records" / "now.json").read_text(encoding="utf-8"))
    assert [(one["experiment"], one["movement"]) for one in printed["bases"]] == [("mine", "unchanged")]
    assert printed["versions"]["transformers"] == printed["environment"]["transformers"]

    store_baseline(project / "baselines", pair(shift(5.0)(base)), why="a planted drift")
    assert call(monkeypatch, "check", "mine", "--write", "records/drifted.json") == 1
    assert "≠ mine: moved, 8 rows" in capsys.readouterr().out

    page = project / "page.md"
    page.write_text("# Page\n<!-- runs -->\n<!-- end -->\n", encoding="utf-8")
    assert call(monkeypatch, "versions", "records", "page.md") == 0
    text = page.read_text(encoding="utf-8")
    assert "| experiment | drifted | now |" in text
    assert re.search(r"\| mine \| moved: 8 of 8 outputs; \w+ -5\.00; fails \| unchanged \|", text)


def test_what_no_experiment_asks_for_is_not_comparable(project: Path) -> None:
    """Without settings nothing is scored, and that is no pass."""
    (project / "harness.toml").unlink()
    (found,) = check_baselines((), baselines=project / "baselines", experiments=project)
    assert (found.movement, found.exit_code) == (Movement.NOT_COMPARABLE, ExitCode.NOT_COMPARABLE)
    assert "No TOML file" in found.reason


def test_folder_that_cannot_be_read_is_not_comparable(project: Path) -> None:
    """A damaged arm, an empty folder and a link: each is an entry with its reason, and the others are checked."""
    stored = project / "baselines"
    shutil.copytree(stored / "mine", stored / "broken")
    (stored / "broken" / "base" / "rows.jsonl").write_text("{}\n", encoding="utf-8")
    (stored / "empty").mkdir()
    (stored / "link").symlink_to(stored / "mine")
    found = {entry.experiment: entry for entry in check_baselines((), baselines=stored, experiments=project)}
    assert found.pop("mine").movement is Movement.UNCHANGED
    assert {entry.exit_code for entry in found.values()} == {ExitCode.NOT_COMPARABLE}
    assert "does not match its own hash" in found["broken"].reason
    assert "Nothing is stored" in found["empty"].reason
    assert "is a link" in found["link"].reason
    assert all(say_drift(entry)[0] == f"? {name}: not comparable, 0 rows" for name, entry in found.items())


def test_nothing_stored_is_an_error(project: Path) -> None:
    """A name of which nothing is stored, and a folder without baselines."""
    for names, folder in ((("other",), "baselines"), ((), "nowhere")):
        with pytest.raises(BaselineError, match=r"Nothing is stored|No arm is stored"):
            check_baselines(names, baselines=project / folder, experiments=project)


def test_page_lists_what_is_always_installed(tmp_path: Path) -> None:
    """Tools of developers and libraries of extras, which somebody happened to have, are no part of the table."""
    both = {"a": {"torch": "1", "ruff": "1", "trl": "1"}, "b": {"torch": "2"}}
    records = {name: {"environment": {"python": "3"}, "bases": [], "versions": found} for name, found in both.items()}
    _, versions = tabulate_versions(records)
    assert [line[0] for line in versions.rows] == ["python", "torch"]


def test_records_that_are_none_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A damaged file and an empty folder are said in a sentence."""
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.md"
    page.write_text("<!-- runs -->\n<!-- end -->\n", encoding="utf-8")
    assert call(monkeypatch, "versions", ".", "page.md") == 2
    (tmp_path / "broken.json").write_text('{"bases": []}', encoding="utf-8")
    assert call(monkeypatch, "versions", ".", "page.md") == 2
    assert "broken.json is no record" in capsys.readouterr().err
