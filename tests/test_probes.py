"""Sentences about checks and speed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.config import Experiment
from harness.experiment import judge_again, run
from harness.gate import ExitCode
from harness.generation.engine import Resolved, resolve_settings
from harness.generation.reference import generate_in_row_order
from harness.generation.speed import SpeedRatio, measure_speed
from harness.generation.transformers_engine import generate
from harness.models.loading import LoadedModel
from harness.probes import judge_checks, judge_speed
from harness.requirements import Status, parse_requirement
from tests.small import encode_rows, small_experiment

CHECKS = "every check must pass"


@dataclass
class Check:
    """A check, by its name."""

    name: str


class Result:
    """One check's result."""

    def __init__(self, check: str, status: str) -> None:
        self.check, self.status, self.seen, self.remedy = Check(check), status, "3 of 8", "Mend it."


@dataclass
class Report:
    """A report of checks, as the gate wants it."""

    results: list[Result]

    @property
    def bad(self) -> list[Result]:
        """Those that failed."""
        return [result for result in self.results if result.status == "failed"]

    @property
    def passed(self) -> bool:
        """Whether none failed and one passed."""
        return not self.bad and any(result.status == "passed" for result in self.results)


@pytest.mark.parametrize(
    ("report", "status", "said"),
    [
        (Report([Result("a", "passed"), Result("b", "passed")]), Status.HOLDS, "2 checks"),
        (
            Report([Result("a", "passed"), Result("eos", "failed")]),
            Status.FAILS,
            "1 of 2 checks did not pass: eos failed (3 of 8)",
        ),
        (Report([Result(str(n), "failed") for n in range(5)]), Status.FAILS, "; and 2 more"),
        (Report([]), Status.NOT_COMPARABLE, "of 0 checks none had anything to look at"),
        (Report([Result("a", "skipped")]), Status.NOT_COMPARABLE, "of 1 checks none had anything"),
        (None, Status.NOT_COMPARABLE, "no check was run"),
    ],
)
def test_checks_are_judged(report: Report | None, status: Status, said: str) -> None:
    """All pass, some fail and are named, and none is never a pass."""
    judged = judge_checks(report)
    assert judged[0] is status
    assert said in judged[1]


@pytest.mark.parametrize(
    ("ratios", "status"),
    [
        ((0.9, 1.1, 0.7, 1.0, 0.85), Status.HOLDS),
        ((0.5, 0.6, 0.7, 0.79, 0.6), Status.FAILS),
        ((0.5, 0.6, 0.7, 0.9, 0.6), Status.UNDECIDED),
    ],
)
def test_speed_is_judged_by_its_rounds(ratios: tuple[float, ...], status: Status) -> None:
    """The median decides for it, every single round against it, and between nothing is decided."""
    requirement = parse_requirement("speed may not fall under 0.8 of the reference", ("rouge1",))
    judged = judge_speed(requirement, SpeedRatio(ratios=ratios, rows=8))
    assert judged[0] is status
    assert "5 rounds of 8 rows" in judged[1]
    assert judge_speed(requirement, None)[0] is Status.NOT_COMPARABLE


def test_reference_says_what_the_engine_says(tiny_t5: LoadedModel) -> None:
    """Plain generate in row order gives the same texts, so their times can be compared."""
    rows = encode_rows(tiny_t5, 8)
    settings = resolve_settings(tiny_t5.model, small_experiment().generation)
    ours = generate(tiny_t5.model, tiny_t5.tokenizer, rows, settings, batch_size=3)
    assert generate_in_row_order(tiny_t5.model, tiny_t5.tokenizer, rows, settings, batch_size=3) == ours


def test_slow_engine_is_seen(tiny_t5: LoadedModel) -> None:
    """An engine that generates everything twice has about half the reference's speed, in every round."""
    rows = encode_rows(tiny_t5, 8)

    def twice(model: object, tokenizer: object, rows: object, settings: Resolved, *, batch_size: int) -> list[str]:
        generate(model, tokenizer, rows, settings, batch_size=batch_size)  # type: ignore[arg-type]
        return generate(model, tokenizer, rows, settings, batch_size=batch_size)  # type: ignore[arg-type]

    settings = resolve_settings(tiny_t5.model, small_experiment().generation)
    ratio = measure_speed(twice, tiny_t5.model, tiny_t5.tokenizer, rows, settings, batch_size=8)  # type: ignore[arg-type]
    assert ratio.rows == 8
    assert len(ratio.ratios) == 5
    assert 0.3 < ratio.median < 0.75


def test_audit_is_called_with_the_pipeline(tmp_path: Path) -> None:
    """The experiment, which may name a pipeline, is handed to the audit; its report decides the verdict."""
    seen: list[object] = []

    def audit(experiment: Experiment) -> Report:
        seen.append(experiment.checks.pipeline)
        return Report([Result("eos", "failed")])

    changes: dict[str, object] = {"gate.require": [CHECKS], "checks.pipeline": "my_pipeline:PIPELINE"}
    done = run(small_experiment(**changes), baselines=tmp_path, audit=audit)
    assert seen == ["my_pipeline:PIPELINE"]
    assert done.verdict.exit_code is ExitCode.FAILED
    assert "eos failed" in done.verdict.findings[0].reason
    assert judge_again(done, None).verdict.findings == done.verdict.findings
