"""Clean scoring and comparing without any model: ROUGE, BLEU, answers, subtasks, and two arms of a comparison."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sacrebleu.metrics.bleu import BLEU

from harness.checks.parts import ComparisonParts
from harness.checks.pipeline import Declared, Pipeline
from harness.defects.reference.rows import read_splits
from harness.defects.reference.seq2seq import LONGEST, score_rouge
from harness.statistics import draw_flips

FLIPS = 1000


def extract_answer(text: str) -> str:
    """The last thing in a text that looks like an answer: a number, or one capital letter."""
    found = re.findall(r"(?<![\w.])(-?\d[\d,]*(?:\.\d+)?|[A-Z])(?!\w)", re.sub(r"\bI\b", "", text))
    return str(found[-1]).replace(",", "") if found else ""


def pool_scores(scores: Mapping[str, Sequence[float]]) -> float:
    """The mean over all rows of all subtasks."""
    return statistics.fmean(score for rows in scores.values() for score in rows)


def score_bleu(outputs: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """Corpus BLEU with its own tokenizer, one reference a row."""
    return {"bleu": BLEU().corpus_score(list(outputs), [list(references)]).score}


def clean_up(text: str) -> str:
    """What is done to an output before it is scored."""
    return text.strip()


def decide(base: Sequence[float], tuned: Sequence[float]) -> bool:
    """Whether two arms differ over the same rows: a paired sign-flip test at 5 %."""
    deltas = np.subtract(tuned, base)[:, None]
    return float(draw_flips(deltas, flips=FLIPS).p_values("two-sided")[0]) <= 0.05  # noqa: PLR2004 - the level


def decide_runs(base: Sequence[Sequence[float]], tuned: Sequence[Sequence[float]]) -> bool:
    """Whether two arms of several seeds differ: Welch's t of the seeds' means, at 5 % with 6 degrees of freedom."""
    means = [[statistics.fmean(run) for run in runs] for runs in (base, tuned)]
    error: float = sum(statistics.variance(values) / len(values) for values in means) ** 0.5
    difference: float = abs(statistics.fmean(means[1]) - statistics.fmean(means[0]))
    return difference > 2.447 * error


def make_arms(*, rows: int = 24) -> dict[str, dict[str, Any]]:
    """Two arms over the evaluation rows: a base that copies its input, and a tuned one that is right but for a word."""
    chosen = read_splits()["eval"][:rows]
    return {
        "base": make_arm(chosen, [row["input"] for row in chosen]),
        "tuned": make_arm(chosen, [row["target"].replace("talk", "speech") for row in chosen]),
    }


def make_arm(rows: Sequence[Mapping[str, str]], outputs: Sequence[str], **changes: Any) -> dict[str, Any]:
    """One arm, with everything that is known of it."""
    references = [row["target"] for row in rows]
    return {
        "ids": [row["id"] for row in rows],
        "inputs": [f"summarize: {row['input']}" for row in rows],
        "references": references,
        "outputs": list(outputs),
        "reported": score_rouge(outputs, references),
        "generation": {"num_beams": 1, "do_sample": False, "max_new_tokens": LONGEST},
        "signatures": {"rouge1": "rouge1|F|stemmer:yes"},
        **changes,
    }


def evaluate(folder: Path) -> bool:
    """Compare today's scores with the stored ones; they are stored once, where there are none."""
    stored = Path(folder) / "baseline.json"
    scores = make_arms()["tuned"]["reported"]
    if not stored.exists():
        stored.write_text(json.dumps(scores), encoding="utf-8")
    before: dict[str, float] = json.loads(stored.read_text(encoding="utf-8"))
    return all(scores[name] >= value for name, value in before.items())


PIPELINE = Pipeline(
    name="scores",
    declared=Declared(metric_range=(0.0, 100.0), metric_average="micro"),
    splits=read_splits,
    metric=score_rouge,
    extract=extract_answer,
    aggregate=pool_scores,
    comparison=ComparisonParts(
        arms=make_arms,
        base_metric=score_rouge,
        base_postprocess=clean_up,
        postprocess=clean_up,
        decide=decide,
        decide_runs=decide_runs,
        summarise_base=statistics.fmean,
        summarise_tuned=statistics.fmean,
        evaluate=evaluate,
        selection_rows=lambda: read_splits()["train"][-8:],
        reported_rows=lambda: read_splits()["eval"],
        threshold={"rouge1": 50.0},
    ),
)
TRANSLATION = Pipeline(
    name="translation-scores",
    declared=Declared(metric_range=(0.0, 100.0)),
    splits=partial(read_splits, seed=8),
    metric=score_bleu,
    comparison=ComparisonParts(
        arms=lambda: {
            role: {name: value for name, value in arm.items() if name not in {"reported", "signatures"}}
            for role, arm in make_arms().items()
        },
        base_metric=score_bleu,
    ),
)
