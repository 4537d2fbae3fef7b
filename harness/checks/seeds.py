"""Does a seed decide a run: the weights it begins with, and those it ends with?"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from harness.checks.check import CheckFailed, check
from harness.checks.evidence import Evidence, Row, trained_model
from harness.checks.fresh import call_fresh
from harness.checks.recorder import named_weights

ROWS = 8

Hashes = dict[str, str]


@check("I10", "training", needs=("make_model",))
def seed_decides_the_run(evidence: Evidence) -> str:
    """One seed gives equal weights in two fresh processes, before and after training; another seed gives others."""
    parts = evidence.part("make_model"), evidence.part("train") if evidence.has("train") else None
    accepted = {
        part: [name for name in ("seed", "epochs", "batch_size", "folder") if evidence.accepts(part, name)]
        for part in ("make_model", "train")
        if evidence.has(part)
    }
    rows = evidence.rows(ROWS) if evidence.has("train") else []
    first, second = (call_fresh(run_once, *parts, accepted, rows, 0, hash_seed=process) for process in (0, 1))
    for moment in first:
        _compare(first[moment], second[moment], moment)
    if "seed" not in accepted.get("train", ()):
        return f"{len(first['made'])} tensors, equal in two processes"
    other = call_fresh(run_once, *parts, accepted, rows, 1)
    if other["trained"] == first["trained"]:
        raise CheckFailed(
            f"Seeds 0 and 1 train the same weights: all {len(other['trained'])} tensors are equal.",
            suspects=("seed-set-after-model-init", "best-of-n-seeds-reported"),
            remedy="Pass the seed on to the order of the rows and to dropout; several seeds say nothing otherwise.",
        )
    return f"{len(first['made'])} tensors, equal in two processes and different for another seed"


def run_once(
    make_model: Callable[..., torch.nn.Module],
    train: Callable[..., Any] | None,
    accepted: Mapping[str, Sequence[str]],
    rows: list[Row],
    seed: int,
) -> dict[str, Hashes]:
    """What a seed makes of a base, and what training makes of it: the hash of each tensor."""
    with TemporaryDirectory() as name:
        options = {"seed": seed, "epochs": 1, "batch_size": 2, "folder": Path(name)}

        def chosen(part: str) -> dict[str, Any]:
            return {option: options[option] for option in accepted[part]}

        model = make_model(**chosen("make_model"))
        hashes = {"made": hash_tensors(model)}
        if train is not None:
            hashes["trained"] = hash_tensors(trained_model(train(model, rows, **chosen("train"))))
    return hashes


def hash_tensors(model: torch.nn.Module) -> Hashes:
    """A hash of each parameter."""
    return {
        name: hashlib.sha256(entry.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes()).hexdigest()
        for name, entry in named_weights(model).items()
    }


def _compare(first: Hashes, second: Hashes, moment: str) -> None:
    different = [name for name in first if second.get(name) != first[name]]
    if not different:
        return
    seen = (
        f"With one seed, {len(different)} of {len(first)} tensors of the {moment} model differ between two processes, "
        f"such as {', '.join(different[:3])}."
    )
    if moment == "made":
        raise CheckFailed(
            seen,
            suspects=("seed-set-after-model-init",),
            remedy="Set the seed before the model is made: a new head or adapter is drawn at random.",
        )
    raise CheckFailed(
        seen + " Both began with the same weights.",
        suspects=("unstable-hash-split", "seed-set-after-model-init"),
        remedy="Seed the order of the rows and dropout; the order of a set and hash() differ between processes.",
    )
