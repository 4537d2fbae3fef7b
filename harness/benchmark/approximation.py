"""What an approximation costs in scores: ``python -m harness.benchmark.approximation --engine NAME --dtype NAME``.

Outputs of the embedded summarization rows, by an engine in a precision, are scored beside those of the reference in
float32; the mean of the differences row by row stands with its interval.
"""

from __future__ import annotations

import copy
import itertools

import click
import torch

from harness.config import load_experiment
from harness.data.source import load_splits
from harness.errors import UsageError
from harness.fingerprint import describe_environment
from harness.forms import choose_form
from harness.generation import ENGINES, REFERENCE
from harness.metrics import METRICS
from harness.metrics.scorer import choose_scores
from harness.scoring import Floats, say_difference
from harness.tasks import TASKS


@click.command()
@click.option("--model", default="tiny-t5", show_default=True, help="Its name, or a folder.")
@click.option("--engine", "engines", multiple=True, default=("ctranslate2-int8",), show_default=True)
@click.option("--dtype", "dtypes", type=click.Choice(["float32", "bfloat16"]), multiple=True, default=("float32",))
@click.option("--rows", type=click.IntRange(2), default=200, show_default=True)
@click.option("--beams", type=click.IntRange(1), default=4, show_default=True)
def main(model: str, engines: tuple[str, ...], dtypes: tuple[str, ...], rows: int, beams: int) -> None:
    """Measure what engines and precisions change in the scores."""
    experiment = load_experiment("summarization-full").override(
        {"model.name": model, "data.eval_rows": rows, "generation.num_beams": beams}
    )
    task = TASKS[experiment.task]
    splits, form = load_splits(experiment.data, task), choose_form(experiment)
    loaded = form.load(splits.train)
    encoded = form.encode(splits.eval, loaded)
    scorer, settings = choose_scores(METRICS, task.metrics, splits.eval), form.resolve(loaded)

    def score(engine: str, dtype: str) -> dict[str, Floats]:
        held = copy.deepcopy(loaded.model).to(getattr(torch, dtype))
        outputs = form.predict(loaded.with_weights_of(held), splits.eval, encoded, {**settings, "engine": engine})
        return scorer.score(outputs, splits.eval)

    theirs = score(REFERENCE, "float32")
    click.echo(f"{model} on {describe_environment()['device']}, {beams} beams; reference: ", nl=False)
    click.echo(", ".join(f"{name} {values.mean():.2f}" for name, values in theirs.items()))
    for engine, dtype in itertools.product(engines, dtypes):
        try:
            ENGINES.require(engine)
            found = say_difference(score(engine, dtype), theirs, experiment.gate)
        except UsageError as error:
            raise click.ClickException(str(error)) from error
        click.echo(f"{engine}, {dtype}: {found}")


if __name__ == "__main__":
    main()
