"""Does evaluation measure the model: every row once, without dropout, on any number of ranks, and with a score?"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext

from harness.checks.check import CheckFailed, CheckSkipped, PartError, check
from harness.checks.evidence import Evidence, Row
from harness.checks.oracle import speaking
from harness.checks.recorded_run import recorded_run
from harness.checks.recorder import dropout_rates, record

ROWS, BATCH_SIZE, RANKS = 10, 4, 4
"""10 rows are neither a number of full batches nor of full ranks."""
TOLERANCE = 1e-5
"""Largest relative difference of two scores that the order of summation explains."""
BOOKKEEPING = ("runtime", "per_second", "rows", "samples", "steps", "epoch", "count", "time", "seconds", "memory")
"""Parts of the names of values that an evaluation returns beside its scores."""
LABELLED = 64
"""Rows among which other labels are looked for."""
WORDS = 4
"""So short are the texts that the model is made to write."""

Scores = Mapping[str, float]


@check("I14", "training", needs=("make_model", "train"))
def dropout_is_on_in_learning_and_off_in_evaluation(evidence: Evidence) -> str:
    """The model learns in training mode, and is evaluated in the other, as it comes from training."""
    run = recorded_run(evidence)
    dropouts = len(dropout_rates(run.trained))
    calls = run.recording.learning_calls
    learned = sum(not call.training for call in calls)
    scored = [call for call in run.recording.calls if not call.learns]
    modes = {"evaluation within training": (sum(call.training for call in scored), len(scored))}
    rows = run.rows[:4]
    for part in ("evaluate", "evaluate_loss", "generate", "classify", "tag"):
        if evidence.has(part):
            model = copy.deepcopy(run.trained)
            with record(model) as recording:
                evidence.call(part, model, rows)
            modes[part] = sum(call.training for call in recording.calls), len(recording.calls)
    wrong = [f"{part}: {count} of {total}" for part, (count, total) in modes.items() if count]
    if dropouts and wrong:
        raise CheckFailed(
            f"{dropouts} dropouts are active while the model is evaluated ({'; '.join(wrong)} calls in training mode).",
            suspects=("dropout-active-in-eval", "sampling-leaks-into-eval"),
            remedy="Call model.eval() before evaluating and generating, and model.train() before learning goes on.",
        )
    if dropouts and learned:
        raise CheckFailed(
            f"{learned} of {len(calls)} calls that the model learned from were in evaluation mode, so its {dropouts} "
            "dropouts did nothing.",
            suspects=("dropout-active-in-eval",),
            remedy="Call model.train() before learning, and again after each evaluation in between.",
        )
    return f"{len(calls)} calls to learn, {sum(total for _, total in modes.values())} to evaluate, {dropouts} dropouts"


@check("I11", "training", needs=("make_model", "evaluate"))
def evaluation_gives_scores(evidence: Evidence) -> str:
    """An evaluation returns at least one score beside its bookkeeping, and every score is finite."""
    found = evidence.call("evaluate", evidence.model(), evidence.rows(4), batch_size=2)
    scores = scores_of(found)
    metric = [name for name in scores if "loss" not in name and "perplexity" not in name]
    if not scores or (evidence.has("metric") and not metric):
        raise CheckFailed(
            f"Evaluating 4 rows returned {', '.join(found) or 'nothing'}: no score of the metric is among them.",
            suspects=("compute-metrics-silently-skipped", "eval-rows-silently-dropped"),
            remedy="Name the column of the labels (label_names=['labels']); without it no metric is computed.",
        )
    broken = [name for name, value in scores.items() if not math.isfinite(value)]
    if broken:
        raise CheckFailed(
            f"Evaluating 4 rows returned {', '.join(f'{name} = {scores[name]}' for name in broken)}.",
            suspects=("compute-metrics-silently-skipped", "labels-all-masked-by-truncation"),
            remedy="See how many rows and labels the score is a mean over.",
        )
    return ", ".join(f"{name} {value:.4g}" for name, value in list(scores.items())[:4])


@check("I9", "training", needs=("make_model", "evaluate"))
def evaluation_counts_every_row_once(evidence: Evidence) -> str:
    """Rows that are alike change the score alike, whichever of them gets another target and on however many ranks."""
    ranks = [1, RANKS] if evidence.accepts("evaluate", "ranks") else [1]
    for count in ranks:
        for name, usual, silent, uneven in _uneven(evidence, count):
            where = f"on {count} ranks" if count > 1 else f"in batches of {BATCH_SIZE}"
            raise CheckFailed(
                f"{ROWS} like rows {where}: another target changes {name} by {usual:.3g} in most rows, by nothing in "
                f"{len(silent)} (rows {silent[:4]}) and by another amount in {len(uneven)} (rows {uneven[:4]}).",
                suspects=_suspects(silent, count),
                remedy="Score each row once: keep the last batch, and cut what ranks gather to the rows there are.",
            )
    return f"{ROWS} rows count alike" + (f", on 1 and on {RANKS} ranks" if len(ranks) > 1 else "")


@check("I9", "training", needs=("shard",))
def shards_hold_every_row_once(evidence: Evidence) -> str:
    """The shards of several ranks hold each row once, unless the evaluation is known to cut them to that."""
    places = list(range(ROWS))
    rows = [{**row, "audited": place} for place, row in enumerate(evidence.rows(ROWS)) if isinstance(row, Mapping)]
    if len(rows) < ROWS:
        raise CheckSkipped(f"{ROWS} rows that are mappings are needed")
    held = [row["audited"] for rank in range(RANKS) for row in evidence.call("shard", rows, rank, RANKS)]
    missing, extra = sorted(set(places) - set(held)), sorted(place for place in places if held.count(place) > 1)
    cut = evidence.has("evaluate") and evidence.accepts("evaluate", "ranks") and not _uneven(evidence, RANKS)
    if missing or (extra and not cut):
        raise CheckFailed(
            f"{RANKS} shards of {ROWS} rows hold {len(held)}: {missing} are missing, {extra} are there twice.",
            suspects=_suspects(missing, RANKS),
            remedy="Let shards be of unequal length, or cut what is gathered to the rows there are.",
        )
    return f"{ROWS} rows in {RANKS} shards" + (", cut to that when they are scored" if extra else "")


def scores_of(found: object) -> dict[str, float]:
    """The scores among what an evaluation returned, without its times and counts.

    Raises:
        PartError: it returned no mapping and no number.
    """
    if isinstance(found, int | float):
        found = {"score": found}
    if not isinstance(found, Mapping):
        raise PartError(f"evaluate returned a {type(found).__name__}; expected a mapping of names to numbers.")
    return {
        str(name): float(value)
        for name, value in found.items()
        if isinstance(value, int | float) and not any(part in str(name).lower() for part in BOOKKEEPING)
    }


def _uneven(evidence: Evidence, ranks: int) -> list[tuple[str, float, list[int], list[int]]]:
    """Scores that rows change unequally: the name, the usual change, the rows without any and those with another."""
    base, changed = evidence.remember(f"influence on {ranks} ranks", lambda: _influence(evidence, ranks))
    found = []
    for name in base:
        moved = [row[name] - base[name] for row in changed]
        usual = sorted(moved, key=abs)[len(moved) // 2]
        silent = [place for place, value in enumerate(moved) if _same(value, 0.0) and not _same(usual, 0.0)]
        uneven = [place for place, value in enumerate(moved) if not _same(value, usual) and place not in silent]
        if silent or uneven:
            found.append((name, usual, silent, uneven))
    return found


def _influence(evidence: Evidence, ranks: int) -> tuple[Scores, list[Scores]]:
    """The scores of rows that are all alike, and those when one row has another target, for each row."""
    model = evidence.model()

    def score(rows: Sequence[Row]) -> dict[str, float]:
        return scores_of(evidence.call("evaluate", model, list(rows), batch_size=BATCH_SIZE, ranks=ranks))

    for target, other in _pairs(evidence):
        rows, others = (_alike(evidence, each) for each in (target, other))
        with speaking(model, _script(evidence, target)) if evidence.writes_text(model) else nullcontext():
            base = score(rows)
            if _differ(score([others[0], *rows[1:]]), base) or _differ(score([*rows[:4], others[4], *rows[5:]]), base):
                return base, [score([*rows[:place], others[place], *rows[place + 1 :]]) for place in range(ROWS)]
    raise CheckSkipped("no other target was found that changes a score")


def _pairs(evidence: Evidence) -> list[tuple[object, object]]:
    """Targets, and others to put in their place: short texts, or labels as the rows have them."""
    targets = [evidence.column(row, "target") for row in evidence.rows(LABELLED)]
    if not all(isinstance(target, str | int) for target in targets):
        raise CheckSkipped("the targets are neither texts nor labels, so none can be put in place of another")
    if evidence.writes_text(evidence.model()):
        targets = [" ".join(str(target).split()[:WORDS]) for target in targets[:2]]
    first, *others = dict.fromkeys(targets)
    return [(first, other) for other in others]


def _alike(evidence: Evidence, target: object) -> list[Row]:
    source = evidence.column(evidence.rows(1)[0], "input")
    name = evidence.column_name(evidence.rows(1)[0], "id")
    rows = evidence.with_texts([(source, target)] * ROWS)
    return [row if name is None else {**row, name: f"audited {place}"} for place, row in enumerate(rows)]


def _script(evidence: Evidence, text: object) -> list[int]:
    """What the model is made to write: a text and its end."""
    tokenizer = evidence.part("tokenizer")
    ids: list[int] = tokenizer(text_target=str(text), add_special_tokens=False)["input_ids"]
    return [*ids, tokenizer.eos_token_id]


def _suspects(silent: Sequence[int], ranks: int) -> tuple[str, ...]:
    if silent:
        return ("last-partial-batch-dropped", "eval-rows-silently-dropped", "ddp-eval-duplicates")
    return (
        ("ddp-eval-duplicates", "last-partial-batch-dropped")
        if ranks > 1
        else ("loss-mean-of-batch-means", "ddp-eval-duplicates")
    )


def _differ(first: Scores, second: Scores) -> bool:
    return any(not _same(value, second.get(name, math.nan)) for name, value in first.items())


def _same(first: float, second: float) -> bool:
    return math.isclose(first, second, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
