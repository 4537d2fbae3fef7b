"""The matrix of defects and checks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.checks.check import Check, Result, Status
from harness.checks.pipeline import Pipeline
from harness.checks.report import AuditReport
from harness.checks.suite import all_checks, audit
from harness.defects.catalogue import NOT_REPRODUCED, all_defects
from harness.defects.clean import clean_pipelines
from harness.defects.defect import Defect
from harness.defects.matrix import Audited, Matrix, audit_defect, make_matrix
from harness.defects.pages import write_heat_map, write_pages, write_table
from harness.defects.reference import NAMES, REFERENCES
from harness.errors import UsageError

CATALOGUE = Path(__file__).parents[3] / "shared" / "defects" / "catalogue.jsonl"


def test_every_entry_of_the_catalogue_is_here_or_explained() -> None:
    """The 123 names of the catalogue are those of the defects and of what cannot be reproduced, each once."""
    if not CATALOGUE.is_file():
        pytest.skip("the catalogue is not beside the checkout")
    entries = [json.loads(line) for line in CATALOGUE.read_text(encoding="utf-8").splitlines()]
    names = [defect.name for defect in all_defects()]
    assert sorted([*names, *NOT_REPRODUCED]) == sorted(entry["id"] for entry in entries)
    stages = {entry["id"]: entry["stage"] for entry in entries}
    assert {defect.name: defect.stage for defect in all_defects()} == {name: stages[name] for name in names}


def test_defects_are_described() -> None:
    """Each defect says what is wrong and what one sees, where it was reported if that is known, and where it sits."""
    for defect in all_defects():
        assert defect.description.endswith("."), defect.name
        assert defect.symptom, defect.name
        assert not defect.source or defect.source.startswith("https://"), defect.name
        assert defect.reference in NAMES, defect.name


def test_planting_leaves_the_clean_pipeline_alone() -> None:
    """A defect returns another pipeline that differs in a part or in what is declared, never in its checks."""
    for defect in all_defects():
        clean = REFERENCES[defect.reference]
        before = replace(clean)
        planted = defect.plant(clean)
        assert clean == before, defect.name
        assert planted != clean, defect.name


@pytest.mark.slow
@pytest.mark.parametrize("name", ["unit-mismatch-percent-fraction", "f1-of-averaged-precision-recall"])
def test_reused_results_are_those_of_a_whole_audit(name: str) -> None:
    """Taking results over from the clean pipeline changes no status, suspect or word."""
    defect = next(defect for defect in all_defects() if defect.name == name)
    quick = audit_defect(defect)
    whole = audit(defect.plant(REFERENCES[defect.reference]))
    for one, other in zip(quick.results, whole.results, strict=True):
        assert (one.check.name, one.status, one.suspects) == (other.check.name, other.status, other.suspects)


def test_check_sees_a_part_that_it_asks_for_without_needing_it() -> None:
    """A part that a check only looks at by the way counts as well: its change is never overlooked."""
    clean = REFERENCES["scores"]
    defect = Defect(
        name="x", description="", symptom="", stage="comparison", source="", reference="scores",
        plant=lambda pipeline: replace(pipeline, declared=replace(pipeline.declared, metric_range=(0.0, 1.0))),
    )  # fmt: skip
    report = audit_defect(defect)
    failed = {result.check.name for result in report.results if result.status is Status.FAILED}
    assert "perfect-outputs-score-the-maximum" in failed
    assert clean.declared.metric_range == (0.0, 100.0)


@pytest.mark.slow
def test_matrix_runs_in_several_processes_and_counts(tmp_path: Path) -> None:
    """Two processes audit defects and clean pipelines; the pages hold the counts, and their texts are escaped."""
    chosen = [defect for defect in all_defects() if defect.name in {"best-of-n-seeds-reported", "bleu-on-characters"}]
    clean = [entry for entry in clean_pipelines() if entry.name == "reference scores"]
    said: list[Audited] = []
    made = make_matrix(chosen, clean, workers=2, say=said.append)
    content = made.as_json()
    assert {audited.name for audited in said} == {"best-of-n-seeds-reported", "bleu-on-characters", "reference scores"}
    assert (content["caught"], content["named"], content["false_alarms"]) == (2, 2, 0)
    assert content["total"] == 2 + len(NOT_REPRODUCED)
    write_pages(made, tmp_path)
    assert json.loads((tmp_path / "matrix.json").read_text(encoding="utf-8")) == json.loads(json.dumps(content))
    assert "| metric | 1 | 1 | 1 |" in write_table(content)
    caught = json.loads((tmp_path / "caught.json").read_text(encoding="utf-8"))
    assert caught["several-seeds-are-summed-up-fairly"] == ["best-of-n-seeds-reported"]
    assert list(caught) == content["checks"]
    content["defects"][0]["description"] = "<script>alert(1)</script>"
    assert "<script>alert" not in write_heat_map(content)
    assert len(write_heat_map(content)) < 2_000_000


def _audited(name: str, failed: tuple[str, ...], *, reference: str | None = "scores") -> Audited:
    def result(check: Check) -> Result:
        status = Status.FAILED if check.name in failed else Status.PASSED
        return Result(check=check, status=status, seen="", suspects=("other", name) if failed else ())

    return Audited(
        name=name, reference=reference, report=AuditReport(pipeline="p", results=tuple(map(result, all_checks())))
    )


def test_alarms_and_idle_checks_are_told() -> None:
    """A failure on a clean pipeline is a false alarm, and a check that fails on no defect is idle."""
    first, second = (check.name for check in all_checks()[:2])
    made = Matrix(
        defects=(_audited(all_defects()[0].name, (first,)),), clean=(_audited("clean", (second,), reference=None),)
    )
    assert made.false_alarms == (("clean", second),)
    assert first not in made.idle_checks
    assert second in made.idle_checks
    assert made.defects[0].named


def test_missing_tokenizer_is_named(tmp_path: Path) -> None:
    """A folder without the real tokenizers is a clear error before anything runs."""
    with pytest.raises(UsageError, match="no tokenizer t5"):
        clean_pipelines(tmp_path)


def test_clean_pipelines_have_seeds_of_their_own() -> None:
    """Each shape comes with three seeds, and they decide rows and first weights."""
    names = [entry.name for entry in clean_pipelines()]
    assert len(names) == len(set(names)) == len(NAMES) + 15
    made: list[Pipeline] = [entry.make() for entry in clean_pipelines() if "llama" in entry.name]
    weights = {float(next(entry.make_model(0).parameters()).detach().sum()) for entry in made if entry.make_model}
    rows: set[Any] = {entry.splits()["train"][0]["input"] for entry in made if entry.splits}
    assert len(weights) == len(rows) == 3
