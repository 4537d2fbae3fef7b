"""Sentences about several tasks: understood or refused, and judged by the interval of what they speak of."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import SettingsError
from harness.gate import ExitCode
from harness.requirements import Status
from harness.strategies.run import MultitaskRun
from harness.strategies.sentences import DEFAULT, EXAMPLES, parse_sentence
from harness.strategies.verdict import judge_run
from tests.strategies.by_hand import make_run

LEVELS = np.array([[10.0, 10.0, 10.0], [80.0, 10.0, 10.0], [78.0, 70.0, 10.0], [50.0, 71.0, 60.0]])
"""The first task loses 30 points, the second gains 1: forgetting is (30 - 1) / 2 = 14.5, the average 60.3."""
ROWS = 40


def noisy(
    levels: np.ndarray, *sentences: str, noise: float = 1.0, line: str = "sequential", seed: int = 0
) -> MultitaskRun:
    """A run around these levels, with a little noise in every row."""
    generator = np.random.default_rng(seed)
    scores = [levels[:, task, None] + generator.normal(0, noise, (len(levels), ROWS)) for task in range(3)]
    taught = ((0,), (1,), (2,)) if len(levels) == 4 else ((0, 1, 2),)
    return make_run([scores], taught=taught, line=line, require=sentences or None)


@pytest.mark.parametrize("text", [*EXAMPLES, *DEFAULT])
def test_examples_are_understood_whatever_their_blanks_and_letters(text: str) -> None:
    """What the error message proposes is itself understood, with capitals, more blanks and a full stop as well."""
    assert parse_sentence(f"  {text.upper().replace(' ', '  ')}.").kind == parse_sentence(text).kind
    assert parse_sentence(text).text == text


@pytest.mark.parametrize(
    ("text", "closest"),
    [
        ("forgetting at least 2", "forgetting at most 2 points"),
        ("forgetting under 2 points", "forgetting at most 2 points"),
        ("backward transfer at least two points", "backward transfer at least -2 points"),
        ("tuned must beat base on rouge1", "average score must beat base"),
        ("", "points"),
    ],
)
def test_other_sentences_are_refused_with_the_nearest(text: str, closest: str) -> None:
    """Nothing is half understood; the error shows a sentence that would be."""
    with pytest.raises(SettingsError, match=f'Did you mean a sentence like "[^"]*{closest}'):
        parse_sentence(text)


@pytest.mark.parametrize(
    ("sentence", "status"),
    [
        ("average score must beat base", Status.HOLDS),
        ("average score must beat base by at least 40 points", Status.HOLDS),
        ("average score must beat base by at least 60 points", Status.FAILS),
        ("average score at least 50", Status.HOLDS),
        ("average score at least 70", Status.FAILS),
        ("average score at least 60.33", Status.UNDECIDED),
        ("forgetting at most 20 points", Status.HOLDS),
        ("forgetting at most 2 points", Status.FAILS),
        ("forgetting at most 14.5 points", Status.UNDECIDED),
        ("backward transfer at least -20 points", Status.HOLDS),
        ("backward transfer at least -2 points", Status.FAILS),
        ("forward transfer at least -1 points", Status.HOLDS),
        ("forward transfer at least 1", Status.FAILS),
        ("no task may forget more than 31 points", Status.HOLDS),
        ("no task may forget more than 20 points", Status.FAILS),
        ("no task may forget more than 30 points", Status.UNDECIDED),
        ("no task may lose more than 2 points against its single-task model", Status.NOT_COMPARABLE),
    ],
)
def test_each_sentence_holds_fails_or_is_undecided(sentence: str, status: Status) -> None:
    """The bound lies below, above or inside the interval; without a model of each task alone there is no comparison."""
    (finding,) = judge_run(noisy(LEVELS, sentence), None).findings
    assert finding.status is status, finding.reason


@pytest.mark.parametrize(("points", "status"), [(10, Status.FAILS), (31, Status.HOLDS), (30, Status.UNDECIDED)])
def test_tasks_are_held_against_models_of_their_own(points: int, status: Status) -> None:
    """One task that ended 30 points below its own model decides, though the mean over tasks is not so low."""
    alone = LEVELS.copy()
    alone[-1] = 80.0, 71.0, 60.0
    sentence = f"no task may lose more than {points} points against its single-task model"
    verdict = judge_run(noisy(LEVELS, sentence), noisy(alone, line="single", seed=1))
    assert verdict.findings[0].status is status, verdict.findings[0].reason
    assert verdict.findings[0].reason.startswith("task-0 lost")


def test_what_is_not_defined_is_no_pass() -> None:
    """A joint run forgets nothing because nothing could be forgotten: that is not comparable, and says why."""
    verdict = judge_run(noisy(LEVELS[[0, 3]], "forgetting at most 2", "no task may forget more than 2"), None)
    assert {finding.status for finding in verdict.findings} == {Status.NOT_COMPARABLE}
    assert verdict.exit_code is ExitCode.NOT_COMPARABLE
    assert "in one stage" in verdict.findings[0].reason


def test_a_model_that_says_what_its_base_says_is_found_out() -> None:
    """The default sentence: a run in which no output moved is "identical", with the exit code of that."""
    scores = [np.tile(np.arange(10.0), (4, 1)) for _ in range(3)]
    verdict = judge_run(make_run([scores], taught=((0,), (1,), (2,))), None)
    assert [finding.sentence for finding in verdict.findings] == list(DEFAULT)
    assert verdict.exit_code is ExitCode.IDENTICAL


def test_gravest_finding_decides() -> None:
    """One sentence that fails among others that hold is a failure."""
    verdict = judge_run(noisy(LEVELS, "average score must beat base", "forgetting at most 2"), None)
    assert [finding.status for finding in verdict.findings] == [Status.HOLDS, Status.FAILS]
    assert (verdict.status, verdict.exit_code, verdict.passed) == (Status.FAILS, ExitCode.FAILED, False)


def test_undecided_says_how_many_rows_it_takes() -> None:
    """Between 14.4 and 14.6 of noisy rows nothing can be told, and the reason has the number of rows that could."""
    verdict = judge_run(noisy(LEVELS, "forgetting at most 14.5 points", noise=30.0), None)
    assert verdict.exit_code is ExitCode.INCONCLUSIVE
    assert "rows are too few: to see" in verdict.findings[0].reason
