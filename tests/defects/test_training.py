"""The defects of training, one by one, and the clean pipelines beside them."""

from __future__ import annotations

import pytest

from harness.checks.pipeline import Pipeline
from harness.defects import training
from harness.defects.defect import Defect
from harness.defects.reference import REFERENCES, selecting
from tests.checks.planted import audit_with, checks_of, complaints, failures

DEFECTS = {value.name: value for value in vars(training).values() if isinstance(value, Defect)}
SEEN_BY = {
    "accumulation": ("grad-accum-mean-of-means", "grad-accum-partial-window"),
    "checkpoints": (
        "resume-replays-data",
        "best-checkpoint-wrong-direction",
        "best-checkpoint-not-loaded",
        "resized-head-reinitialised",
    ),
    "optimizer": (
        "lr-schedule-steps-too-fast",
        "lr-zero-or-warmup-longer-than-run",
        "weight-decay-on-norm-and-bias",
    ),
    "training_run": ("bf16-update-lost", "last-partial-batch-dropped"),
    "seeds": ("seed-set-after-model-init",),
    "evaluation": (
        "dropout-active-in-eval",
        "compute-metrics-silently-skipped",
        "last-partial-batch-dropped",
        "ddp-eval-duplicates",
    ),
    "packing": ("packing-cross-contamination",),
}
QUICK = ("training_run", "accumulation", "optimizer", "checkpoints", "saving", "evaluation", "packing")


def reference(name: str) -> Pipeline:
    return selecting.PIPELINE if name == "selecting" else REFERENCES[name]


def test_every_defect_of_the_stage_is_looked_for() -> None:
    """None of the sixteen defects is left out below."""
    assert {name for names in SEEN_BY.values() for name in names} == set(DEFECTS)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        # It starts two fresh processes with all libraries.
        pytest.param(module, name, marks=[pytest.mark.slow] * (module == "seeds"))
        for module, names in SEEN_BY.items()
        for name in names
    ],
)
def test_a_defect_is_caught_and_named_first(module: str, name: str) -> None:
    """A check of the module fails, and the defect is its likeliest suspect."""
    defect = DEFECTS[name]
    report = audit_with(defect.plant(reference(defect.reference)), checks_of(module))
    assert name in {suspects[0] for suspects in failures(report).values()}, str(report)


@pytest.mark.long
@pytest.mark.parametrize("name", ["seq2seq", "causal", "selecting", "classifier", "tagger", "reader"])
def test_a_clean_pipeline_passes(name: str) -> None:
    """No check of the stage complains about a pipeline without a defect."""
    assert complaints(audit_with(reference(name), checks_of(*QUICK))) == []


@pytest.mark.long
def test_another_seed_finds_nothing_either() -> None:
    """The checks of the stage do not hang on the random choices of one seed."""
    assert complaints(audit_with(selecting.PIPELINE, checks_of(*QUICK), seed=2)) == []


def test_shards_that_overlap_are_seen_where_nothing_else_is_given() -> None:
    """Without an evaluation on several ranks the shards themselves are looked at."""
    planted = DEFECTS["ddp-eval-duplicates"].plant(selecting.PIPELINE)
    alone = Pipeline(splits=planted.splits, shard=planted.shard)
    assert failures(audit_with(alone, checks_of("evaluation"))) == {
        "shards-hold-every-row-once": ("ddp-eval-duplicates", "last-partial-batch-dropped")
    }
