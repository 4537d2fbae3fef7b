"""How fast each task encodes and scores, by pytest-benchmark: rows per second go into ``extra_info``."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness.config import load_experiment
from harness.data.source import load_splits
from harness.forms import choose_form
from harness.metrics import METRICS
from harness.metrics.metric import Output
from harness.metrics.scorer import choose_scores
from harness.tasks import TASKS

ROWS = 200


@pytest.mark.parametrize("name", list(TASKS))
def test_encode(benchmark: BenchmarkFixture, name: str) -> None:
    """Rows to token ids and labels, as the embedded experiment has them."""
    experiment = load_experiment(f"{name}-full").override({"data.train_rows": ROWS})
    rows = load_splits(experiment.data, TASKS[name]).train
    form = choose_form(experiment)
    loaded = form.load(rows)
    encoded = benchmark.pedantic(form.encode, args=(rows, loaded), rounds=5, warmup_rounds=1)
    assert [row.id for row in encoded] == [row.id for row in rows]
    note_rate(benchmark)


@pytest.mark.parametrize("name", list(TASKS))
def test_score(benchmark: BenchmarkFixture, name: str) -> None:
    """Outputs to scores; the outputs are the targets."""
    experiment = load_experiment(f"{name}-full").override({"data.train_rows": ROWS})
    rows = load_splits(experiment.data, TASKS[name]).train
    outputs = [Output(text=row.target, nats=20.0, tokens=max(1, len(row.target.split()))) for row in rows]
    scorer = choose_scores(METRICS, TASKS[name].metrics, rows)
    scores = benchmark.pedantic(scorer.score, args=(outputs, rows), rounds=3, warmup_rounds=1)
    assert set(scores) == set(scorer.signatures)
    assert all(len(values) == ROWS for values in scores.values())
    note_rate(benchmark)


def note_rate(benchmark: BenchmarkFixture) -> None:
    """Rows per second, as the median round has them."""
    if benchmark.stats is not None:
        benchmark.extra_info["rows_per_second"] = round(ROWS / benchmark.stats.stats.median)
