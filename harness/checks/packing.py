"""Do rows that are packed into one sequence stay by themselves?"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from harness.checks.check import CheckFailed, CheckSkipped, PartError, check
from harness.checks.evidence import Evidence
from harness.checks.recorded_run import without_padding

ROWS = 4
TOLERANCE = 1e-3
"""Largest difference of logits that float32 explains, relative to the largest."""


@check("I3", "training", needs=("make_model", "encode", "pack"))
def packed_rows_stand_alone(evidence: Evidence) -> str:
    """The logits of a row in a pack are those that it has alone."""
    model = evidence.model().float()
    features = evidence.features(evidence.rows(ROWS))
    pack = evidence.call("pack", [dict(feature) for feature in features])
    if "input_ids" not in pack:
        raise PartError(f"pack returned {', '.join(pack)}; expected a batch with input_ids.")
    with torch.no_grad():
        together = model(**{name: value for name, value in pack.items() if name != "labels"}).logits
    differences = []
    for feature in features:
        ids = without_padding(feature)
        row, start = find(pack["input_ids"].tolist(), ids)
        with torch.no_grad():
            alone = model(input_ids=torch.tensor([ids])).logits[0]
        apart = (together[row, start : start + len(ids)] - alone).abs().max() / alone.abs().max()
        differences.append(float(apart))
    wrong = [place for place, apart in enumerate(differences) if not apart <= TOLERANCE]
    if wrong:
        raise CheckFailed(
            f"In a pack of {len(features)} rows the logits of {len(wrong)} differ from those of the row alone, by up "
            f"to {max(differences):.2g} of the largest (first: row {wrong[0]}).",
            suspects=("packing-cross-contamination", "attention-mask-missing"),
            remedy="Give each row positions from 0 and a mask that shows it nothing of the others.",
        )
    return f"{len(features)} rows, largest relative difference {max(differences):.1g}"


def find(batch: Sequence[Sequence[int]], ids: Sequence[int]) -> tuple[int, int]:
    """Where a sequence stands in a batch: the row and the first position.

    Raises:
        CheckSkipped: nowhere.
    """
    for row, found in enumerate(batch):
        for start in range(len(found) - len(ids) + 1):
            if list(found[start : start + len(ids)]) == list(ids):
                return row, start
    raise CheckSkipped("a row is not found in its pack as encode gives it")
