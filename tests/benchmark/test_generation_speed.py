"""Generation speed, by pytest-benchmark: tokens per second and milliseconds per step go into ``extra_info``.

Never a gate on absolute time. ``harness bench`` judges ratios of one session.
"""

from __future__ import annotations

from typing import cast

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from harness.benchmark.cases import Case, make_sources
from harness.benchmark.measure import time_call
from harness.device import at_work
from harness.fingerprint import describe_environment
from harness.generation import ENGINES
from harness.generation.batched import BatchedEngine
from harness.generation.engine import resolve_settings
from harness.models.loading import LoadedModel


@pytest.mark.parametrize("engine", ["transformers", "graph"])
@pytest.mark.parametrize("beams", [1, 4])
@pytest.mark.parametrize("rows", [1, 8])
def test_generation_speed(
    benchmark: BenchmarkFixture, tiny_t5: LoadedModel, engine: str, beams: int, rows: int
) -> None:
    """Batches of 1 and 8, greedy and with 4 beams: 32 tokens a row, warm-up apart, the device waited for."""
    case = Case(batch=rows, beams=beams, dtype="float32", source_length=64, new_tokens=32)
    model, sources = tiny_t5.model, make_sources(tiny_t5.model, case)
    opened = cast("BatchedEngine", ENGINES[engine])
    settings = resolve_settings(model, case.settings)
    with at_work(model), opened.open(model, settings, batch_size=rows) as write:
        benchmark.pedantic(time_call, args=(write, sources, model.device), rounds=3, iterations=1, warmup_rounds=1)
        assert write(sources).shape == torch.Size([rows, 32])
    if benchmark.stats is not None:
        seconds = benchmark.stats.stats.median
        facts = {"tokens_per_second": 32 * rows / seconds, "ms_per_step": 1000 * seconds / 32}
        benchmark.extra_info.update({"device": describe_environment()["device"], **facts})
