"""Trains some models, on however many processes it is started, and stores what came of them.

Usage: train.py FILE [--sharded] CASE...
"""

from __future__ import annotations

import os
import sys

import torch

from harness import processes
from harness.checks.recorder import dropout_rates
from harness.config import load_experiment
from harness.data.source import load_splits
from harness.experiment import make_course
from harness.forms import choose_form
from harness.methods import METHODS
from harness.tasks import TASKS

SMALL: dict[str, object] = {"data.train_rows": 17, "data.eval_rows": 8, "training.epochs": 2}
"""The last batch of each epoch has one row, fewer than there are processes."""
CASES: dict[str, tuple[str, dict[str, object]]] = {
    "full": ("summarization-full", {}),
    "again": ("summarization-full", {}),
    "accumulation": ("summarization-full", {"training.accumulation": 2, "training.label_smoothing": 0.1}),
    "early-stopping": ("summarization-full", {"training.patience": 1, "training.held_out": 0.2}),
    "lora": ("summarization-full", {"method": "lora"}),
    "causal": ("summarization-full", {"model.name": "tiny-llama"}),
    "tags": ("ner-full", {}),
    "tags-in-parts": ("ner-full", {"head.decoder": "softmax", "training.accumulation": 2, "training.batch_size": 4}),
    "spans": ("question-answering-full", {}),
    "spans-in-parts": ("question-answering-full", {"training.accumulation": 2, "training.batch_size": 4}),
    "classes": ("sentiment-full", {"head.class_weights": "balanced"}),
}


def train(case: str, *, sharded: bool) -> dict[str, object]:
    """The losses, the weights before and after, and whether they were divided."""
    preset, changes = CASES[case]
    sharding = {"training.sharding": "full"} if sharded else {}
    experiment = load_experiment(preset).override({**SMALL, **changes, **sharding})
    splits = load_splits(experiment.data, TASKS[experiment.task])
    form = choose_form(experiment)
    loaded = form.load(splits.train)
    drop_nothing(loaded.model)
    encoded = form.encode(splits.train, loaded)
    course = make_course(form, loaded, splits.train, encoded, form.make_collator(loaded))
    trained = METHODS[experiment.method](loaded.model, course, experiment.training)
    return {
        "losses": trained.losses,
        "held_out": trained.held_out_losses,
        "before": dict(loaded.model.named_parameters()),
        "after": dict(trained.model.named_parameters()),
    }


def drop_nothing(model: torch.nn.Module) -> None:
    """Each process draws its own dropout, so without it alone are weights the same."""
    for module, name, _ in dropout_rates(model):
        setattr(module, name, 0.0)


def let_processors_shard() -> None:
    """Let accelerate use FSDP over gloo, which it keeps for GPUs; FSDP itself does not mind."""
    from accelerate.state import PartialState  # noqa: PLC0415
    from accelerate.utils import DistributedType  # noqa: PLC0415

    os.environ["ACCELERATE_TORCH_DEVICE"] = "cpu"
    PartialState._prepare_backend = lambda *_, **__: ("gloo", DistributedType.MULTI_GPU)
    torch.distributed.init_process_group("gloo")


def main(file: str, *cases: str) -> None:
    """Train each case."""
    sharded = "--sharded" in cases
    if sharded:
        let_processors_shard()
    done = {case: train(case, sharded=sharded) for case in cases if not case.startswith("--")}
    if processes.is_first():
        torch.save(done, file)
    processes.part()


if __name__ == "__main__":
    main(*sys.argv[1:])
