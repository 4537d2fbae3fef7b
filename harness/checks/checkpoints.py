"""Do checkpoints keep what was learned: after an interruption, for the best epoch, and when tokens are added?"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from harness.checks.check import CheckFailed, CheckSkipped, PartError, check
from harness.checks.evaluation import scores_of
from harness.checks.evidence import Evidence, Row, trained_model
from harness.checks.recorded_run import Ids, evaluation_rows, model_to_train, sequences, train
from harness.checks.recorder import Interrupted, Recording, named_weights, record, without_dropout

ROWS, EPOCHS, BATCH_SIZE, STOP = 10, 2, 2, 7
"""10 optimizer steps in 2 epochs, interrupted within the second."""
LONG = 8
"""Epochs after which the best is seldom the last, on rows that have little to do with those learned."""
TOLERANCE = 1e-3
"""Largest relative difference of two scores or logits that float32 explains."""


@check("I9", "training", needs=("make_model", "train", "resume"))
def resumed_training_goes_on_where_it_stopped(evidence: Evidence) -> str:
    """A run that is interrupted and resumed reads the same rows and ends at the same weights as one that is not."""
    evidence.require("train", "folder")
    rows = evidence.rows(ROWS)
    with TemporaryDirectory() as name:
        whole, weights = _run(evidence, "train", rows, Path(name))
    with TemporaryDirectory() as name:
        begun, _ = _run(evidence, "train", rows, Path(name), stop_after=STOP)
        written = sorted(path.name for path in Path(name).rglob("*") if path.is_file())
        if not written:
            raise CheckSkipped(f"no checkpoint was written in the first {STOP} steps, so none can be resumed from")
        resumed, resumed_weights = _run(evidence, "resume", rows, Path(name))
    planned, seen, again = (rows_of_steps(recording) for recording in (whole, begun, resumed))
    if len(planned) <= STOP or seen != planned[: len(seen)]:
        raise CheckSkipped("two runs with the same seed read their rows in different orders")
    if not 0 < len(again) < len(planned):
        raise CheckFailed(
            f"After {STOP} of {len(planned)} steps the run was interrupted; resumed, it took {len(again)} steps, "
            f"though its folder holds {', '.join(written[:3])}.",
            suspects=("resume-replays-data",),
            remedy="Read the number of steps done from the checkpoint, and go on behind them.",
        )
    done = planned[: len(planned) - len(again)]
    once = Counter(row for step in planned for row in step)
    twice = Counter(row for step in [*done, *again] for row in step)
    wrong = sum(step != other for step, other in zip(again, planned[len(done) :], strict=True))
    if wrong:
        raise CheckFailed(
            f"Resumed after {len(done)} of {len(planned)} steps, {wrong} of {len(again)} steps read other rows than "
            f"those of an uninterrupted run; over the whole run {len(once - twice)} rows are seen too seldom and "
            f"{len(twice - once)} too often.",
            suspects=("resume-replays-data",),
            remedy="Restore the epoch and the place within it (set_epoch, then skip the batches that are done).",
        )
    apart = max(_apart(resumed_weights[key], entry) for key, entry in weights.items() if key in resumed_weights)
    if apart > TOLERANCE:
        rates = [[step.learning_rate for step in recording.steps[-len(again) :]] for recording in (resumed, whole)]
        raise CheckFailed(
            f"Resumed on the same rows, the weights end {apart:.2g} apart from those of an uninterrupted run, relative "
            f"to the largest (first rate {rates[0][0]:.2g}, uninterrupted {rates[1][0]:.2g}).",
            suspects=("resume-replays-data", "lr-schedule-steps-too-fast")[:: 1 if rates[0] == rates[1] else -1],
            remedy="Save and load the states of the optimizer and of the schedule beside the weights.",
        )
    return f"resumed after {len(done)} of {len(planned)} steps, weights {apart:.1g} apart"


def rows_of_steps(recording: Recording) -> list[Counter[Ids]]:
    """What each optimizer step learned from."""
    steps: list[Counter[Ids]] = [Counter() for _ in recording.steps]
    for call in recording.learning_calls:
        if call.step < len(steps):
            steps[call.step].update(sequences(call))
    return steps


def _run(evidence: Evidence, part: str, rows: Sequence[Row], folder: Path, *, stop_after: int | None = None) -> Any:
    model, weights = model_to_train(evidence), {}
    options = {"folder": folder, "seed": evidence.seed, "epochs": EPOCHS, "batch_size": BATCH_SIZE}
    with without_dropout(model), record(model, stop_after=stop_after) as recording, suppress(Interrupted):
        trained = trained_model(evidence.call(part, model, list(rows), **options))
        weights = {name: entry.detach().float() for name, entry in named_weights(trained).items()}
    return recording, weights


def _apart(first: torch.Tensor, second: torch.Tensor) -> float:
    return float((first - second).abs().max() / second.abs().max().clamp(min=1e-3))


@check("I12", "training", needs=("choose_checkpoint",))
def best_checkpoint_has_the_declared_direction(evidence: Evidence) -> str:
    """Of several evaluations the highest is kept where a high score is good, and the lowest where a low one is."""
    greater = evidence.declared("greater_is_better")
    if greater is None:
        raise CheckSkipped("greater_is_better is not declared")
    drawn = random.Random(evidence.seed)
    for _ in range(8):
        scores = drawn.sample([0.25, 0.5, 1.0, 2.0, 4.0], 5)
        chosen = evidence.call("choose_checkpoint", [{"score": score} for score in scores])
        best = (max if greater else min)(scores)
        if not isinstance(chosen, int) or not 0 <= chosen < len(scores):
            raise PartError(f"choose_checkpoint returned {chosen!r}; expected an index from 0 to {len(scores) - 1}.")
        if scores[chosen] != best:
            raise CheckFailed(
                f"Of the scores {scores} number {chosen} ({scores[chosen]}) is kept; the best is {best}, for a "
                f"{'high' if greater else 'low'} score is good.",
                suspects=("best-checkpoint-wrong-direction", "best-checkpoint-not-loaded"),
                remedy="Set greater_is_better for the metric that chooses: False for a loss.",
            )
    return f"8 histories, the {'highest' if greater else 'lowest'} kept"


@check("I6", "training", needs=("make_model", "train"))
def best_score_is_that_of_the_delivered_model(evidence: Evidence) -> str:
    """The best score that training reports is what the delivered model scores."""
    evidence.require("train", "eval_rows", "epochs")
    rows, scored = evidence.rows(6), unlike(evidence, evaluation_rows(evidence, 6))
    first = _train_and_score(evidence, rows, scored, epochs=1)
    names = [name for name, value in first[1].items() if _close(value, first[0])]
    if not names:
        raise CheckSkipped(f"training reports a best score of {first[0]:.4g}, and no evaluation gives that: {first[1]}")
    best, scores = _train_and_score(evidence, rows, scored, epochs=LONG)
    if not any(_close(scores[name], best) for name in names):
        raise CheckFailed(
            f"Training for {LONG} epochs reports a best score of {best:.4g}; the delivered model scores "
            f"{scores[names[0]]:.4g} ({names[0]}).",
            suspects=("best-checkpoint-not-loaded", "best-checkpoint-wrong-direction"),
            remedy="Save at each evaluation and load the best weights at the end; compare their hash with the file's.",
        )
    return f"{names[0]} {best:.4g} after {LONG} epochs"


def _train_and_score(
    evidence: Evidence, rows: Sequence[Row], scored: Sequence[Row], *, epochs: int
) -> tuple[float, dict[str, float]]:
    """The best score that is reported, and what the delivered model scores."""
    result = train(evidence, model_to_train(evidence), rows, epochs=epochs, batch_size=2, eval_rows=list(scored))
    best = getattr(result, "best_score", None)
    if not isinstance(best, int | float):
        raise CheckSkipped("training reports no best_score")
    model = trained_model(result).eval()
    found: dict[str, float] = {}
    if evidence.has("evaluate_loss"):
        found["evaluate_loss"] = float(evidence.call("evaluate_loss", model, list(scored)))
    if evidence.has("evaluate"):
        found |= scores_of(evidence.call("evaluate", model, list(scored)))
    return float(best), found


def unlike(evidence: Evidence, rows: Sequence[Row]) -> list[Row]:
    """Rows whose targets are written backwards: the longer other rows are learned, the worse they are known."""
    targets = [evidence.column(row, "target") for row in rows]
    if not all(isinstance(target, str) for target in targets) or not evidence.writes_text(evidence.model()):
        return list(rows)
    pairs = [(evidence.column(row, "input"), target[::-1]) for row, target in zip(rows, targets, strict=True)]
    return evidence.with_texts(pairs)


def _close(first: float, second: float) -> bool:
    return abs(first - second) <= TOLERANCE * max(abs(first), abs(second), 1e-6)


@check("I6", "training", needs=("make_model", "extend_vocabulary"))
def longer_vocabulary_keeps_what_was_known(evidence: Evidence) -> str:
    """Adding tokens changes neither the embeddings nor the logits of those that were there."""
    before, after = evidence.model(), evidence.call("extend_vocabulary", evidence.model())
    if not isinstance(after, torch.nn.Module):
        raise PartError(f"extend_vocabulary returned a {type(after).__name__}; expected a model.")
    after.eval()
    known = 0
    for layer in ("get_input_embeddings", "get_output_embeddings"):
        old, new = (getattr(model, layer, lambda: None)() for model in (before, after))
        if old is None or new is None:
            continue
        known = len(old.weight)
        same = len(new.weight) >= known and bool((old.weight == new.weight[:known]).all())
        if not same:
            kept = int((old.weight[: len(new.weight)] == new.weight[:known]).all(dim=-1).sum())
            raise CheckFailed(
                f"Of {known} rows of {layer.removeprefix('get_')} {kept} are as they were; the layer has "
                f"{len(new.weight)} rows now.",
                suspects=("resized-head-reinitialised", "head-lost-when-switching-tasks"),
                remedy="Resize after all initialisation, and compare the old rows before and after.",
            )
    if not (evidence.has("encode") and evidence.has("collate")):
        return f"{known} rows of embeddings are kept"
    batch = evidence.batch(evidence.features(evidence.rows(2)))
    with torch.inference_mode():
        old_logits, new_logits = before(**batch).logits, after(**batch).logits
    apart = _apart(new_logits[..., : old_logits.shape[-1]], old_logits)
    if apart > TOLERANCE:
        raise CheckFailed(
            f"The embeddings are kept, yet the logits of the {known} old tokens differ by {apart:.2g}, relative to the "
            "largest.",
            suspects=("resized-head-reinitialised",),
            remedy="Look for other layers that are made anew when tokens are added, such as a bias of the head.",
        )
    return f"{known} rows of embeddings are kept, logits {apart:.1g} apart"
