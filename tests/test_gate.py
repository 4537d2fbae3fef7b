"""Requirements, outcomes and exit codes: each is reached, and for the right reason."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest

from harness.arm import Arm
from harness.comparison import Comparison, Outcome, compare, say_power
from harness.config import GateSettings
from harness.errors import DataError, HarnessError, NonFiniteLossError, SameWeightsError, SettingsError
from harness.gate import EXIT_CODES, OUTCOME_CODES, Comparisons, ExitCode, Status, Verdict, decide, exit_code_of
from harness.requirements import EXAMPLES, Requirement, parse_requirement
from harness.statistics import SHARES
from tests.arms import make_arm

SETTINGS = GateSettings(smallest_effect=2.0, flips=2_000)
BEAT = "tuned must beat base on rouge1"
KEEP = "no metric may regress against the stored baseline"
STILL = "base must not drift"


def noisy(shift: float, *, spread: float = 5.0, rows: int = 200, seed: int = 0) -> Arm:
    """An arm whose scores lie around 50 + shift; arms of one seed share their rows' difficulty."""
    difficulty = np.random.default_rng(99).normal(50, 10, rows)
    noise = np.random.default_rng(seed).normal(shift, spread, rows)
    scores = (difficulty + noise - noise.mean() + shift).tolist()
    return make_arm(scores, outputs=[f"{seed} {shift} {row}" for row in range(rows)])


def verdict_of(
    *sentences: str, base: Arm, tuned: Arm, stored_base: Arm | None = None, stored_tuned: Arm | None = None
) -> Verdict:
    comparisons = Comparisons(
        tuned_base=compare(tuned, base, SETTINGS, title="tuned vs base"),
        tuned_stored=None if stored_tuned is None else compare(tuned, stored_tuned, SETTINGS, title="tuned vs stored"),
        base_stored=None if stored_base is None else compare(base, stored_base, SETTINGS, title="base vs stored"),
    )
    return decide(
        comparisons, [parse_requirement(sentence, tuple(tuned.manifest.metrics)) for sentence in sentences], SETTINGS
    )


@pytest.mark.parametrize(
    ("sentence", "shift", "spread", "rows", "status"),
    [
        (BEAT, 10, 5, 200, Status.HOLDS),
        (BEAT, 0, 5, 200, Status.NO_CHANGE),
        (BEAT, -10, 5, 200, Status.FAILS),
        (BEAT, 0, 50, 20, Status.UNDECIDED),
        (BEAT, 50, 5, 4, Status.UNDECIDED),
        (f"{BEAT} by at least 5", 10, 5, 200, Status.HOLDS),
        (f"{BEAT} by at least 5", 3, 5, 200, Status.FAILS),
        (f"{BEAT} by at least 5", 5, 20, 30, Status.UNDECIDED),
        (f"{BEAT} by at least 5 points.", 10, 5, 200, Status.HOLDS),
    ],
)
def test_gain(sentence: str, shift: float, spread: float, rows: int, status: Status) -> None:
    """A gain holds where it is proven, fails where it is refuted, and is undecided between."""
    base = noisy(0, spread=spread, rows=rows, seed=1)
    (finding,) = verdict_of(sentence, base=base, tuned=noisy(shift, spread=spread, rows=rows, seed=2)).findings
    assert finding.status is status
    assert (status is Status.UNDECIDED) == ("rows are too few" in finding.reason)


@pytest.mark.parametrize(
    ("sentence", "shift", "spread", "rows", "status"),
    [
        (KEEP, 0, 5, 200, Status.HOLDS),
        (KEEP, 5, 5, 200, Status.HOLDS),
        (KEEP, -5, 5, 200, Status.FAILS),
        (KEEP, 0, 50, 20, Status.UNDECIDED),
        (f"{KEEP} by more than 5", -2, 5, 200, Status.HOLDS),
        (f"{KEEP} by more than 5", -9, 5, 200, Status.FAILS),
        (f"{KEEP} by more than 5", -5, 5, 200, Status.UNDECIDED),
    ],
)
def test_regression(sentence: str, shift: float, spread: float, rows: int, status: Status) -> None:
    """A loss against the stored baseline fails where it is proven, holds where it is excluded."""
    stored = noisy(0, spread=spread, rows=rows, seed=1)
    tuned = noisy(shift, spread=spread, rows=rows, seed=2)
    (finding,) = verdict_of(sentence, base=noisy(-20, rows=rows), tuned=tuned, stored_tuned=stored).findings
    assert finding.status is status


@pytest.mark.parametrize(
    ("sentence", "shift", "spread", "rows", "status"),
    [
        (STILL, 0, 5, 200, Status.HOLDS),
        (STILL, 5, 5, 200, Status.FAILS),
        (STILL, -5, 5, 200, Status.FAILS),
        (STILL, 0, 50, 20, Status.UNDECIDED),
        (f"{STILL} by more than 5", 2, 5, 200, Status.HOLDS),
        (f"{STILL} by more than 5", -9, 5, 200, Status.FAILS),
    ],
)
def test_drift(sentence: str, shift: float, spread: float, rows: int, status: Status) -> None:
    """A base that moved either way has drifted."""
    stored = noisy(0, spread=spread, rows=rows, seed=1)
    base = noisy(shift, spread=spread, rows=rows, seed=2)
    (finding,) = verdict_of(sentence, base=base, tuned=noisy(20, rows=rows), stored_base=stored).findings
    assert finding.status is status


def test_equal_outputs_against_the_store_hold_with_any_number_of_rows() -> None:
    """Where every output equals the stored one there is nothing to decide."""
    arm = make_arm([1.0, 2.0])
    verdict = verdict_of(KEEP, STILL, base=arm, tuned=arm, stored_base=arm, stored_tuned=arm)
    assert [finding.status for finding in verdict.findings] == [Status.HOLDS, Status.HOLDS]


def test_other_weights_are_a_drift_even_with_equal_outputs() -> None:
    """The base is known by its weights: another model that says the same is still another model."""
    base, stored = make_arm([1.0, 2.0], weights="new"), make_arm([1.0, 2.0], weights="old")
    (finding,) = verdict_of(STILL, base=base, tuned=base, stored_base=stored).findings
    assert (finding.status, "other weights" in finding.reason) == (Status.FAILS, True)


@pytest.mark.parametrize("sentence", [KEEP, STILL])
def test_nothing_compared_is_never_a_pass(sentence: str) -> None:
    """Without a stored baseline a requirement on it is not comparable, and the gate does not pass."""
    verdict = verdict_of(sentence, base=noisy(0, seed=1), tuned=noisy(10, seed=2))
    assert verdict.findings[0].status is Status.NOT_COMPARABLE
    assert (verdict.exit_code, verdict.passed) == (ExitCode.NOT_COMPARABLE, False)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"ids": ["0", "7"]}, r"rows \(1 of 2 rows are the same\)"),
        ({"generation": {"engine": "transformers", "num_beams": 4}}, r"generation settings \(num_beams: 4 against 1\)"),
        ({"metrics": {"rouge1": "rouge1|other"}}, r"metric signatures \(rouge1: rouge1\|other against"),
        (
            {"encoding": {"prefix": "", "max_input_tokens": 1, "max_target_tokens": 1}},
            r"encoding \(prefix:  against p\)",
        ),
    ],
)
def test_arms_that_differ_in_more_than_the_model_are_not_compared(changes: dict[str, object], named: str) -> None:
    """Other rows, prompts, generation settings or metrics are named, and no number is computed."""
    comparison = compare(make_arm([1.0, 2.0], **changes), make_arm([1.0, 2.0]), SETTINGS, title="t")  # type: ignore[arg-type]
    assert comparison.outcome is Outcome.NOT_COMPARABLE
    assert comparison.metrics == ()
    assert re.search(named, "; ".join(comparison.differences))


@pytest.mark.parametrize(
    ("shift", "spread", "rows", "outcome"),
    [
        (10, 5, 200, Outcome.IMPROVED),
        (-10, 5, 200, Outcome.REGRESSED),
        (0, 5, 200, Outcome.NO_CHANGE),
        (0, 50, 20, Outcome.INCONCLUSIVE),
        (50, 1, 3, Outcome.INCONCLUSIVE),
    ],
)
def test_outcomes(shift: float, spread: float, rows: int, outcome: Outcome) -> None:
    """Each outcome is reached by scores that deserve it."""
    candidate = noisy(shift, spread=spread, rows=rows, seed=2)
    assert compare(candidate, noisy(0, spread=spread, rows=rows, seed=1), SETTINGS, title="t").outcome is outcome


def test_one_metric_down_is_a_regression() -> None:
    """A gain in one metric does not buy a loss in another."""
    rng = np.random.default_rng(0)
    down, up = rng.normal(-5, 1, 50), rng.normal(5, 1, 50)
    base = make_arm({"rouge1": [0.0] * 50, "rouge2": [0.0] * 50}, outputs=["b"] * 50)
    tuned = make_arm({"rouge1": up.tolist(), "rouge2": down.tolist()}, outputs=["t"] * 50)
    assert compare(tuned, base, SETTINGS, title="t").outcome is Outcome.REGRESSED


def test_equal_outputs_of_base_and_tuned_are_named() -> None:
    """Two models that say the same in every row fail the gate with an exit code of its own."""
    base, tuned = make_arm([1.0, 2.0], weights="a"), make_arm([1.0, 2.0], weights="b")
    verdict = verdict_of(BEAT, base=base, tuned=tuned)
    assert verdict.outcome is Outcome.IDENTICAL
    assert (verdict.findings[0].status, verdict.exit_code) == (Status.IDENTICAL, ExitCode.IDENTICAL)
    assert "all 2 outputs are equal" in verdict.findings[0].reason


def test_gravest_finding_decides_the_exit_code() -> None:
    """A failure outranks a missing baseline, and that outranks too few rows."""
    base = noisy(0, seed=1)
    assert verdict_of(BEAT, KEEP, base=base, tuned=noisy(-10, seed=2)).exit_code is ExitCode.FAILED
    assert verdict_of(BEAT, KEEP, base=base, tuned=noisy(10, seed=2)).exit_code is ExitCode.NOT_COMPARABLE
    assert verdict_of(BEAT, base=base, tuned=noisy(10, seed=2)).exit_code is ExitCode.PASSED
    few = verdict_of(BEAT, base=noisy(0, rows=4, seed=1), tuned=noisy(10, rows=4, seed=2))
    assert few.exit_code is ExitCode.INCONCLUSIVE


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DataError("x", fix="y"), ExitCode.USAGE),
        (SameWeightsError("x", fix="y"), ExitCode.IDENTICAL),
        (NonFiniteLossError("x", fix="y"), ExitCode.BROKEN),
    ],
)
def test_errors_have_exit_codes(error: HarnessError, code: ExitCode) -> None:
    """Each family of errors ends the program its own way."""
    assert exit_code_of(error) is code


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_are_understood(example: str) -> None:
    """The sentences that the messages suggest can be used, in any case and spacing."""
    parsed = parse_requirement(example, ("rouge1",))
    spaced = parse_requirement(example.upper().replace(" ", "  ").replace("ROUGE1", "rouge1"), ("rouge1",))
    assert (spaced.kind, spaced.points) == (parsed.kind, parsed.points)


@pytest.mark.parametrize(
    ("sentence", "message"),
    [
        ("tuned must win", 'Did you mean a sentence like "tuned must beat base'),
        ("base must not move", "base must not drift"),
        ("tuned must beat base on bleu", r'names the metric "bleu"\. Computed are: rouge1, rouge2'),
        ("tuned must beat base on rouge_2", r'"rouge_2"\. Did you mean "rouge2"\? Computed are: rouge1, rouge2'),
        ("tuned must beat base on rouge1 by at least five", "is not understood"),
        ("", "is not understood"),
    ],
)
def test_other_sentences_are_refused(sentence: str, message: str) -> None:
    """A sentence that cannot be checked is never taken for one that holds."""
    with pytest.raises(SettingsError, match=message):
        parse_requirement(sentence, ("rouge1", "rouge2"))


def test_changed_circumstances_are_named() -> None:
    """A library or a training setting that changed since the baseline was stored is said beside the numbers."""
    now = make_arm([1.0, 2.0], environment={"python": "3", "torch": "2.13"})
    then = make_arm([1.0, 2.0], environment={"python": "3", "torch": "2.12"})
    comparison: Comparison = compare(now, then, SETTINGS, title="t")
    assert comparison.circumstances == ("torch 2.12 → 2.13",)
    longer, shorter = (make_arm([1.0, 2.0], role="tuned", training={"epochs": epochs}) for epochs in (6, 1))
    assert compare(shorter, longer, SETTINGS, title="t").circumstances == ("epochs 6 → 1",)


@pytest.mark.parametrize("changed", [1, 3, 5])
def test_a_few_changed_outputs_are_no_drift(changed: int) -> None:
    """An upgrade that changes 1, 3 or 5 of 200 outputs holds: the intervals exclude a difference that matters."""
    stored = noisy(0, seed=1)
    rows = [
        row.model_copy(update={"output": "new", "scores": {"rouge1": row.scores["rouge1"] - 3}}) if n < changed else row
        for n, row in enumerate(stored.rows)
    ]
    now = stored.model_copy(update={"rows": tuple(rows)})
    (finding,) = verdict_of(STILL, base=now, tuned=noisy(20), stored_base=stored).findings
    assert finding.status is Status.HOLDS
    assert f"{changed} of 200 outputs changed" in finding.reason


def test_arms_without_rows_are_not_comparable() -> None:
    """Nothing compared is never a pass."""
    assert compare(make_arm([]), make_arm([]), SETTINGS, title="t").outcome is Outcome.NOT_COMPARABLE


def test_equal_outputs_fail_whatever_is_required() -> None:
    """A tuned model that says what base says never passes, even where no sentence asks for a gain."""
    base, tuned = make_arm([1.0, 2.0]), make_arm([1.0, 2.0], weights="b")
    assert verdict_of(STILL, base=base, tuned=tuned, stored_base=base).exit_code is ExitCode.IDENTICAL


def test_loss_is_asked_one_sided() -> None:
    """A loss that the two-sided test just misses is a regression; a gain of that size is no improvement."""
    stored = noisy(0, spread=8, seed=1)
    for shift, outcome in ((-1.35, Outcome.REGRESSED), (1.35, Outcome.NO_CHANGE)):
        comparison = compare(noisy(shift, spread=8, seed=2), stored, GateSettings(smallest_effect=9.0), title="t")
        (entry,) = comparison.metrics
        assert 0.05 < entry.p < 0.1
        assert (entry.p_worse <= 0.05) == (shift < 0)
        assert comparison.outcome is outcome


def test_every_outcome_has_an_exit_code_of_its_own() -> None:
    """Six outcomes, six codes, and success for an improvement alone."""
    assert set(OUTCOME_CODES) == set(Outcome)
    assert len(set(OUTCOME_CODES.values())) == len(Outcome)
    assert [outcome for outcome, code in OUTCOME_CODES.items() if code == 0] == [Outcome.IMPROVED]
    assert set(EXIT_CODES) == set(Status)
    assert len(set(EXIT_CODES.values())) == len(Status)


def test_accuracy_is_tested_by_mcnemar() -> None:
    """A metric of 0 and 100 has McNemar's exact p, and an interval of score tests."""
    sides = [100.0] * 12 + [0.0] * 88
    better = [100.0] * 12 + [100.0] * 8 + [0.0] * 80
    tuned = make_arm({"accuracy": better}, outputs=["t"] * 100)
    comparison = compare(tuned, make_arm({"accuracy": sides}), SETTINGS, title="t")
    (entry,) = comparison.metrics
    assert entry.p == pytest.approx(2 / 2**8)
    assert comparison.outcome is Outcome.IMPROVED
    assert 0 < entry.low < 8 < entry.high


def of_seeds(*shifts: float) -> list[Arm]:
    """One tuned arm for each seed, each with its own shift."""
    return [noisy(shift, spread=2, seed=10 + number) for number, shift in enumerate(shifts)]


def test_gain_must_survive_the_seeds() -> None:
    """Three seeds of one sign and size hold; one lucky seed among three does not, and all three are told."""
    base = noisy(0, spread=2, seed=1)
    requirement = parse_requirement(BEAT, ("rouge1",))
    for shifts, holds in (((5, 5.5, 6), True), ((0, 12, -1), False)):
        comparison = compare(of_seeds(*shifts), base, SETTINGS, title="t")
        comparisons = Comparisons(tuned_base=comparison, tuned_stored=None, base_stored=None)
        verdict = decide(comparisons, [requirement], SETTINGS)
        assert verdict.passed == holds
        assert comparison.metrics[0].by_seed == pytest.approx(shifts)
        assert all(f"{shift:+.2f}" in verdict.findings[0].reason for shift in shifts)
    assert verdict.findings[0].status is Status.UNDECIDED
    assert "3 seeds are too few" in verdict.findings[0].reason


def test_seeds_are_compared_with_as_many_or_with_one() -> None:
    """Three seeds against three or against one base; three against two is not comparable."""
    assert compare(of_seeds(5, 5, 5), of_seeds(0, 0, 0), SETTINGS, title="t").outcome is Outcome.IMPROVED
    uneven = compare(of_seeds(5, 5, 5), of_seeds(0, 0), SETTINGS, title="t")
    assert uneven.outcome is Outcome.NOT_COMPARABLE
    assert "number of seeds (3 against 2)" in uneven.differences


@pytest.mark.parametrize(
    ("rows", "spread", "effect", "said"),
    [
        (1, 1, 2.0, r"1 row can decide nothing at a level of 0\.05"),
        (4, 1, 2.0, r"4 rows can decide nothing at a level of 0\.05"),
        (200, 1, 2.0, r"200 rows show a difference of \S+ points or more in every metric: enough to see 2 points"),
        (20, 30, 2.0, r"20 rows show a .* metric; to see 2 points would take about 998 rows"),
        (20, 30, 1.0, r"20 rows show a .* metric; to see 1 point would take about [1-9],\d{3} rows"),
    ],
)
def test_first_question_is_answered(rows: int, spread: float, effect: float, said: str) -> None:
    """Whether so many rows can decide, and how many could: a whole sentence, one point or more."""
    comparison = compare(
        noisy(0, spread=spread, rows=rows, seed=2), noisy(0, spread=spread, rows=rows, seed=1), SETTINGS, title="t"
    )
    assert re.fullmatch(said, say_power(comparison, effect))


@pytest.mark.parametrize("sentence", ["every check must pass", "speed may not fall under 0.8 of the reference"])
def test_sentence_of_something_else_is_judged_by_its_probe(sentence: str) -> None:
    """A probe gives status and reason; without one nothing was looked at, and that is no pass."""
    base, tuned = noisy(0, seed=1), noisy(10, seed=2)
    comparisons = Comparisons(tuned_base=compare(tuned, base, SETTINGS, title="t"), tuned_stored=None, base_stored=None)
    requirement = parse_requirement(sentence, ("rouge1",))
    assert decide(comparisons, [requirement], SETTINGS).exit_code is ExitCode.NOT_COMPARABLE
    seen: list[float] = []

    def probe(asked: Requirement) -> tuple[Status, str]:
        seen.append(asked.share)
        return Status.FAILS, "3 of 4"

    verdict = decide(comparisons, [requirement], SETTINGS, {requirement.kind: probe})
    assert (verdict.findings[0].status, verdict.findings[0].reason) == (Status.FAILS, "3 of 4")
    assert seen == [0.8 if "speed" in sentence else 0.0]


@pytest.mark.parametrize(
    ("sentence", "against", "candidate", "status"),
    [
        (f"{STILL} by more than 1", 10_000, 10_050, Status.HOLDS),
        (f"{STILL} by more than 1", 10_000, 10_300, Status.FAILS),
        (f"{KEEP} by more than 10", 2.0, 2.1, Status.HOLDS),
        (f"{KEEP} by more than 10", 2.0, 2.5, Status.FAILS),
        (STILL, 2.0, 2.3, Status.FAILS),
    ],
)
def test_points_of_a_perplexity_are_percents(sentence: str, against: float, candidate: float, status: Status) -> None:
    """A perplexity knows no percent points: ten of a base of ten thousand are nothing, half of one of two is much."""
    way = {"lower_is_better": ("perplexity",), "relative": ("perplexity",)}
    noise = np.linspace(-0.01, 0.01, 200)

    def arm(mean: float, outputs: str) -> Arm:
        scores = {"perplexity": [float(f"{mean * (1 + share):.4f}") for share in noise]}
        return make_arm(scores, outputs=[outputs] * 200, **way)

    then, now = arm(against, "then"), arm(candidate, "now")
    (finding,) = verdict_of(sentence, base=now, tuned=now, stored_base=then, stored_tuned=then).findings
    assert finding.status is status
    assert "%)" in finding.reason


def test_a_gain_of_perplexity_is_asked_in_percents() -> None:
    """Half the perplexity is a gain of 50 percent, whatever the base has."""
    way = {"lower_is_better": ("perplexity",), "relative": ("perplexity",)}
    base = make_arm({"perplexity": [8000.0] * 100 + [8010.0] * 100}, outputs=["a"] * 200, **way)
    tuned = make_arm({"perplexity": [4000.0] * 100 + [4004.0] * 100}, outputs=["b"] * 200, **way)
    for points, status in ((40, Status.HOLDS), (60, Status.FAILS)):
        sentence = f"tuned must beat base on perplexity by at least {points}"
        (finding,) = verdict_of(sentence, base=base, tuned=tuned).findings
        assert finding.status is status


@pytest.mark.parametrize(
    ("ours", "said"),
    [
        ({"entity_f1": [0.0] * 40}, "no score moved"),
        ({"entity_f1": [100.0] * 40}, "all rows have the same delta in entity_f1"),
        ({"entity_f1": [0.0] * 40, "rouge1": list(range(40))}, "all rows have the same delta in entity_f1"),
        ({"entity_f1": [30.0] * 6}, "all rows have the same delta in entity_f1"),
        (
            {name: [9.0] + [0.0] * 5 for name in "abcd"},
            "6 rows are too few to say how small a difference",
        ),
    ],
)
def test_what_the_rows_could_show_is_not_known(ours: dict[str, Sequence[float]], said: str) -> None:
    """That no score moved is said where none did; where rows moved alike, or are too few, that is said instead."""
    theirs: dict[str, Sequence[float]] = {name: [0.0] * len(scores) for name, scores in ours.items()}
    told = say_power(compare(make_arm(ours), make_arm(theirs), SETTINGS, title="t"), 2.0)
    assert said in told
    assert ("no score moved" in told) == (said == "no score moved")


def test_shares_that_are_all_equal_do_not_exclude_a_change() -> None:
    """Two classifiers that err in the same 60 rows, each in its own way, are not proven equal in macro F1."""
    signatures = {"macro_f1": f"macro_f1|{SHARES}|version:1"}
    one, other = (
        make_arm({"macro_f1": [50.0] * 60}, outputs=[f"{name} {row}" for row in range(60)], metrics=signatures)
        for name in "ab"
    )
    comparison = compare(one, other, SETTINGS, title="t")
    assert comparison.outcome is Outcome.INCONCLUSIVE
    assert comparison.metrics[0].low < -2 < 2 < comparison.metrics[0].high
