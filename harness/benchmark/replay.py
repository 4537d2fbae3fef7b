"""What it takes to evaluate so many rows from a file to verdict, arms on disk and reports; the outputs are replayed.

Nothing is trained and nothing is generated; all else goes the way of a run. ``python -m harness.benchmark.replay ROWS``
prints what it took, of a process that does nothing besides.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from harness.config import load_experiment
from harness.data.rows import Row
from harness.data.source import load_splits
from harness.experiment import Run
from harness.forms.encoder_decoder import EncoderDecoder
from harness.gate import judge
from harness.generation.engine import Resolved
from harness.metrics.metric import Output
from harness.models.loading import LoadedModel
from harness.preparation import prepare
from harness.report.folder import write_run
from harness.scoring import score_arm
from harness.tasks import TASKS
from harness.tasks.task import EncodedRow
from harness.tuning import Clock

TRAIN_ROWS = 64
WRONG = {"base": 3, "tuned": 5}
"""Each so-many-th output is wrong."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one size took.

    Args:
        rows: how many rows were evaluated, each by base and tuned.
        seconds: processor time from the file of the rows to the reports, most imports left out; other work on the
            machine does not stretch it as it stretches the clock.
        peak_bytes: the highest resident memory of the process, imports and model included.
        stages: the seconds of each stage, by the clock.
        outcome: the verdict.
    """

    rows: int
    seconds: float
    peak_bytes: int
    stages: dict[str, float]
    outcome: str


@dataclass(frozen=True, kw_only=True)
class Replay(EncoderDecoder):
    """Says the target, and in each ``wrong``-th row something else."""

    wrong: int

    def predict(
        self, loaded: LoadedModel, rows: Sequence[Row], encoded: Sequence[EncodedRow], settings: Resolved
    ) -> list[Output]:
        """The outputs; the model is not asked."""
        numbers = [int(row.input.split()[1]) for row in rows]
        return [
            Output(text=row.target if number % self.wrong else f"Report {number} says nothing new.")
            for number, row in zip(numbers, rows, strict=True)
        ]


def measure_replay(rows: int, folder: Path) -> Measured:
    """Evaluate so many rows in a folder that is empty."""
    source = folder / "rows.jsonl"
    write_rows(source, rows + TRAIN_ROWS)
    changes = {"data.source": str(source), "data.train_rows": TRAIN_ROWS, "data.eval_rows": rows}
    asked = {"gate.require": ["tuned must beat base on rouge1"]}
    experiment = load_experiment("summarization-full").override({"name": "scale", **changes, **asked})
    clock, began = Clock(), time.process_time()
    with clock.stage("rows"):
        splits = load_splits(experiment.data, TASKS[experiment.task])
    ready = prepare(experiment, splits, audit=None, clock=clock, say=lambda _: None)
    arms = {}
    for role in ("base", "tuned"):
        form = Replay(task=ready.form.task, experiment=experiment, wrong=WRONG[role])
        with clock.stage("score"):
            arms[role] = score_arm(
                experiment,
                role,
                ready.loaded,
                form=form,
                scorer=ready.scorer,
                encoded=ready.evaluation,
                splits=splits,
                settings=form.resolve(ready.loaded),
            )
    with clock.stage("verdict"):
        verdict = judge(experiment, arms["base"], arms["tuned"], None, ready.requirements)
    with clock.stage("report"):
        run = Run(
            experiment=experiment,
            splits=splits,
            labels=ready.labels,
            losses=(),
            trainable_parameters=0,
            seconds=clock.seconds,
            verdict=verdict,
            base=arms["base"],
            tuned=arms["tuned"],
        )
        write_run(run, folder)
    return Measured(
        rows=rows,
        seconds=round(time.process_time() - began, 2),
        # The unit is a kilobyte on Linux and a byte on macOS.
        peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        stages=clock.seconds,
        outcome=str(verdict.outcome),
    )


def write_rows(path: Path, count: int) -> None:
    """Write so many short rows, no two alike."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            rise = f"rose by {number % 97} percent"
            document = f"Report {number} : prices in district {number % 1009} {rise}."
            file.write(json.dumps({"document": document, "summary": f"Prices {rise}."}) + "\n")


@click.command()
@click.argument("rows", type=click.IntRange(min=1))
def main(rows: int) -> None:
    """Evaluate so many rows, and print what it took as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        click.echo(json.dumps(asdict(measure_replay(rows, Path(folder)))))


if __name__ == "__main__":
    main()
