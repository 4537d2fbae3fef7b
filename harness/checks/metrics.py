"""Metrics as black boxes: a perfect answer scores the maximum, every row counts, and the same texts score the same."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from harness.checks.check import CheckFailed, CheckSkipped, check
from harness.checks.evidence import Evidence

ROWS = 12
"""Rows that a metric is tried on."""
CLOSE = 1e-6
"""Scores closer than this, relative to their range, are equal."""
NON_WORD = "qzx"
"""Stands in no text."""


@check("I1", "metric", needs=("metric",))
def perfect_outputs_score_the_maximum(evidence: Evidence) -> str:
    """The references as outputs score the maximum of the declared range, and wrong ones less."""
    references = reference_sample(evidence)
    best = evidence.score("metric", references, references)
    worst = evidence.score("metric", garbage(references), references)
    scores = moving_scores(evidence)
    if not scores:
        raise CheckFailed(
            f"No score moves: the {len(references)} references as outputs and outputs that share no word with them "
            f"both give {_say(best)}.",
            suspects=_why_flat(evidence, best),
            remedy="Look at what the metric is given: texts, their order, their nesting, and its own tokenizer.",
        )
    declared = evidence.declared("metric_range")
    for name in scores:
        top = _top(declared, best[name], worst[name])
        if not math.isclose(best[name], top, rel_tol=CLOSE, abs_tol=CLOSE):
            raise CheckFailed(
                f"{name} of the references themselves is {best[name]:.4g}, the maximum is {top:g} "
                f"(outputs that share nothing with them: {worst[name]:.4g}).",
                suspects=_why_low(evidence, name, best[name], top),
                remedy="A metric must give its maximum for perfect outputs in the language and unit that it is used "
                "for; declare metric_range in the unit that it reports.",
            )
    return f"{len(references)} references as outputs: {_say({name: best[name] for name in scores})}"


@check("I1", "metric", needs=("metric",))
def every_row_counts_in_the_metric(evidence: Evidence) -> str:
    """Spoiling any one output changes the scores, and empty outputs count as misses."""
    references = reference_sample(evidence)
    scores = moving_scores(evidence, "it is seen elsewhere that no score moves")
    best = evidence.score("metric", references, references)
    wrong = garbage(references)
    ignored = []
    for row in range(len(references)):
        spoiled = [wrong[row] if number == row else text for number, text in enumerate(references)]
        found = evidence.score("metric", spoiled, references)
        if all(_same(found[name], best[name]) for name in scores):
            ignored.append(row)
    if ignored:
        raise CheckFailed(
            f"{len(ignored)} of {len(references)} rows do not count: with their outputs spoiled every score stays at "
            f"{_say({name: best[name] for name in scores})}.",
            suspects=("bleu-references-transposed", "last-partial-batch-dropped", "empty-predictions-skipped"),
            remedy="Give the references in the nesting that the metric asks for: one list a row, or one list a set.",
        )
    half = len(references) // 2
    empty = [_empty(text) if number < half else text for number, text in enumerate(references)]
    spoiled = [wrong[number] if number < half else text for number, text in enumerate(references)]
    with_empty, with_wrong = (evidence.score("metric", outputs, references) for outputs in (empty, spoiled))
    unmoved = []
    for name in scores:
        lost_wrong, lost_empty = best[name] - with_wrong[name], best[name] - with_empty[name]
        if abs(lost_empty) < abs(lost_wrong) / 4:
            unmoved.append(name)
    # Some scores may stay: what is not said costs no precision.
    if unmoved and len(unmoved) == len(scores):
        name = unmoved[0]
        raise CheckFailed(
            f"{name} is {with_empty[name]:.4g} when {half} of {len(references)} outputs are empty, and "
            f"{with_wrong[name]:.4g} when as many are wrong; perfect outputs have {best[name]:.4g}.",
            suspects=("empty-predictions-skipped", "eval-rows-silently-dropped"),
            remedy="An empty output is a miss: score it, and divide by the number of rows.",
        )
    return f"each of {len(references)} rows moves the scores; empty outputs count"


@check("I3", "metric", needs=("metric",))
def metric_does_not_depend_on_row_order(evidence: Evidence) -> str:
    """Shuffling outputs and references together leaves the scores as they are."""
    references = reference_sample(evidence)
    outputs = mixed_outputs(references)
    before = evidence.score("metric", outputs, references)
    if not _repeats(evidence, outputs, references):
        raise CheckSkipped("the metric gives other scores for the same texts, see same-texts-score-the-same")
    order = [*range(1, len(references)), 0]
    after = evidence.score("metric", [outputs[row] for row in order], [references[row] for row in order])
    moved = [name for name in before if not _same(before[name], after[name])]
    if moved:
        name = moved[0]
        raise CheckFailed(
            f"{name} is {before[name]:.4f} in one order of {len(references)} rows and {after[name]:.4f} in another.",
            suspects=("bleu-references-transposed", "metric-state-shared-or-stale"),
            remedy="Pair each output with its own reference; check how deep the metric nests its references.",
        )
    return f"{len(references)} rows in two orders give the same scores"


@check("I10", "metric", needs=("metric",))
def same_texts_score_the_same(evidence: Evidence) -> str:
    """Scoring twice gives equal scores, whatever was scored in between."""
    references = reference_sample(evidence)
    outputs = mixed_outputs(references)
    first = evidence.score("metric", outputs, references)
    again = evidence.score("metric", outputs, references)
    evidence.score("metric", garbage(references), references)
    later = evidence.score("metric", outputs, references)
    for name, value in first.items():
        if _same(value, again[name]) and _same(value, later[name]):
            continue
        # Resampling perfect scores gives perfect scores each time; a state that still holds other outputs does not.
        perfect, perfect_again = (evidence.score("metric", references, references)[name] for _ in range(2))
        stale = not _same(perfect, perfect_again)
        raise CheckFailed(
            f"{name} of the same {len(references)} outputs is {value:.5f}, then {again[name]:.5f}, and "
            f"{later[name]:.5f} after other outputs were scored.",
            suspects=("metric-state-shared-or-stale", "rouge-bootstrap-not-mean")
            if stale
            else ("rouge-bootstrap-not-mean", "metric-state-shared-or-stale"),
            remedy="Take the mean of the rows' scores, not a resampled one; begin each evaluation with an empty "
            "metric.",
        )
    return f"{len(references)} outputs scored three times: {_say(first)}"


def reference_sample(evidence: Evidence) -> list[Any]:
    """The references of evaluation rows that differ from each other, texts or lists of tags; at least two."""

    def draw() -> list[Any]:
        rows = evidence.rows(ROWS)
        if evidence.has("splits"):
            splits = evidence.splits()
            held_out = next((splits[name] for name in ("eval", "validation", "test") if splits.get(name)), None)
            rows = rows if held_out is None else held_out[:ROWS]
        targets = [evidence.column(row, "target") for row in rows]
        if not all(isinstance(target, str) or _is_tags(target) for target in targets):
            raise CheckSkipped("the rows' targets are neither texts nor lists of tags")
        if isinstance(targets[0], str) and len(set(targets)) < 2:  # noqa: PLR2004 - one text tells nothing
            raise CheckSkipped("all rows have the same target")
        return targets

    return evidence.remember("reference sample", draw)


def mixed_outputs(references: Sequence[Any]) -> list[Any]:
    """Outputs some of which are right, some wrong, and some right in part."""
    wrong = garbage(references)
    return [_blend(text, wrong[row], row) for row, text in enumerate(references)]


def garbage(references: Sequence[Any]) -> list[Any]:
    """An output for each row that shares nothing with its reference; class names are swapped for other class names."""
    names = sorted({text for text in references if isinstance(text, str)})
    repeated = len(names) < len(references) and all(" " not in name.strip() for name in names)
    spoiled: list[Any] = []
    for text in references:
        if _is_tags(text):
            spoiled.append(["O" if tag != "O" else "B-LOC" for tag in text])
        elif repeated:
            spoiled.append(names[(names.index(text) + 1) % len(names)])
        else:
            spoiled.append(" ".join(NON_WORD for _ in text.split()) or NON_WORD)
    return spoiled


def moving_scores(evidence: Evidence, otherwise: str | None = None) -> list[str]:
    """The names of the scores that tell perfect outputs from garbage; counts and the like do not.

    Raises:
        CheckSkipped: there is none, and ``otherwise`` says why that matters not here.
    """
    references = reference_sample(evidence)
    best = evidence.score("metric", references, references)
    worst = evidence.score("metric", garbage(references), references)
    moving = [name for name in best if name in worst and not _same(best[name], worst[name])]
    if otherwise and not moving:
        raise CheckSkipped(otherwise)
    return moving


def _why_flat(evidence: Evidence, best: Mapping[str, float]) -> tuple[str, ...]:
    """Why no score tells right from wrong."""
    plain = ["the cat sat on the mat", "a dog ran in the park"]
    works = evidence.score("metric", plain, plain) != best
    if works and any(name.lower().startswith("rouge") for name in best):
        return ("rouge-non-latin-zero", "answer-extraction-format-sensitive", "bleu-references-transposed")
    return ("bleu-references-transposed", "compute-metrics-silently-skipped", "guard-that-never-fires")


def _why_low(evidence: Evidence, name: str, best: float, top: float) -> tuple[str, ...]:
    """Why perfect outputs do not reach the maximum."""
    if best > 0 and any(math.isclose(best * factor, top, rel_tol=1e-6) for factor in (100, 0.01)):
        return ("unit-mismatch-percent-fraction",)
    plain = ["The cat sat on the mat.", "A dog ran in the park."]
    found = evidence.score("metric", plain, plain).get(name, math.nan)
    if math.isclose(found, top, rel_tol=CLOSE):
        return ("rouge-non-latin-zero", "answer-extraction-format-sensitive", "metric-state-shared-or-stale")
    return ("bleu-references-transposed", "metric-state-shared-or-stale", "f1-of-averaged-precision-recall")


def _top(declared: Any, best: float, worst: float) -> float:
    """The value that perfect outputs should have; of a range that is not declared, 1 or 100, whichever is nearer."""
    if declared is not None:
        low, high = declared
        return float(high if best > worst else low)
    if best < worst:
        return 0.0
    return 1.0 if best <= 1.0 + CLOSE else 100.0


def _repeats(evidence: Evidence, outputs: Sequence[Any], references: Sequence[Any]) -> bool:
    one, other = (evidence.score("metric", outputs, references) for _ in range(2))
    return all(_same(one[name], other[name]) for name in one)


def _blend(right: Any, wrong: Any, row: int) -> Any:
    """Right in every third row, wrong in every third, and half and half in the others."""
    if row % 3 == 0:
        return right
    if row % 3 == 1 or not (_is_tags(right) or " " in right):
        return wrong
    if _is_tags(right):
        return [*right[: len(right) // 2], *wrong[len(right) // 2 :]]
    words, others = right.split(), wrong.split()
    return " ".join([*words[: len(words) // 2], *others[len(words) // 2 :]])


def _empty(reference: Any) -> Any:
    return ["O"] * len(reference) if _is_tags(reference) else ""


def _is_tags(target: Any) -> bool:
    return isinstance(target, list | tuple) and all(isinstance(tag, str) for tag in target)


def _same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=CLOSE, abs_tol=CLOSE) or (math.isnan(one) and math.isnan(other))


def _say(scores: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in scores.items()) or "nothing"
