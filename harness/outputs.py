"""The outputs of many rows, part by part; those that were written stay where a run is killed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple
from pathlib import Path

from harness.data.rows import Row
from harness.metrics.metric import Output
from harness.progress import Progress, say_age
from harness.spool import Spool
from harness.tasks.task import EncodedRow

PART = 1024
"""Rows that are put into batches together: a kill costs no more of them than the checkpoints of a training would."""
ROWS, OUTPUTS_FILE = "rows-", "outputs.jsonl"
Predict = Callable[[Sequence[Row], Sequence[EncodedRow]], list[Output]]


def predict_in_parts(
    predict: Predict, rows: Sequence[Row], encoded: Sequence[EncodedRow], progress: Progress
) -> Spool[Output]:
    """The output of each row, in order.

    Args:
        predict: from rows and their token ids to their outputs.
        rows: the rows.
        encoded: their token ids.
        progress: of these rows and this model.
    """
    made = Spool(find_outputs(progress, len(rows)))
    kept = len(made)
    for start in range(kept, len(rows), PART):
        end = start + PART
        for output in predict(list(rows[start:end]), list(encoded[start:end])):
            made.append(output)
        if progress.due and end < len(rows):
            fresh = made[kept:]
            progress.keep(f"{ROWS}{kept}", lambda place, fresh=fresh: write_outputs(place, fresh))  # type: ignore[misc]
            kept = len(made)
    return made


def find_outputs(progress: Progress, rows: int) -> Iterator[Output]:
    """The outputs that were kept, from the first row on without a gap; says how many of the rows they are."""
    count = 0
    for number in progress.numbered(ROWS):
        place = progress.find(f"{ROWS}{number}") if number == count else None
        if place is None:
            break
        for output in read_outputs(place):
            count += 1
            yield output
        age = say_age(place)
    if count:
        progress.say(f"outputs of {count} of {rows} rows are there ({age})")


def write_outputs(place: Path, outputs: Iterable[Output]) -> None:
    """Write outputs, one a line."""
    with (place / OUTPUTS_FILE).open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(astuple(output)) + "\n" for output in outputs)


def read_outputs(place: Path) -> Iterator[Output]:
    """Read what `write_outputs` wrote."""
    with (place / OUTPUTS_FILE).open(encoding="utf-8") as file:
        for line in file:
            text, nats, tokens = json.loads(line)
            yield Output(text=text, nats=nats, tokens=tokens)
