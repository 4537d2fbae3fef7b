"""Generation speed, by pytest-benchmark: tokens per second and milliseconds per token go into ``extra_info``.

Never a gate on absolute time. Compare two runs of one machine with ``pytest-benchmark compare``.
"""

from __future__ import annotations

import platform

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from harness.benchmark.generation_speed import generate_and_wait, speed_facts
from harness.config import GenerationSettings
from harness.generation.engine import resolve_settings
from harness.generation.transformers_engine import to_generation_config
from harness.models.loading import LoadedModel
from tests.small import encode_rows

DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("beams", [1, 4])
@pytest.mark.parametrize("rows", [1, 8])
def test_generation_speed(
    benchmark: BenchmarkFixture, tiny_t5: LoadedModel, device: str, beams: int, rows: int
) -> None:
    """Batches of 1 and 8, greedy and with 4 beams: 32 tokens a row, warm-up apart, the device waited for."""
    encoded = encode_rows(tiny_t5, rows)
    sources = [row.input_ids for row in encoded]
    settings = GenerationSettings(num_beams=beams, min_length=33, max_length=33)
    config = to_generation_config(resolve_settings(tiny_t5.model, settings))
    model = tiny_t5.model.to(device)
    try:
        with torch.inference_mode():
            tokens = benchmark.pedantic(
                generate_and_wait, args=(model, sources, config), rounds=3, iterations=1, warmup_rounds=1
            )
    finally:
        tiny_t5.model.to("cpu")
    assert tokens == 32 * rows
    if benchmark.stats is not None:
        name = torch.cuda.get_device_name() if device == "cuda" else f"{platform.machine()} CPU"
        seconds = benchmark.stats.stats.median
        benchmark.extra_info.update(speed_facts(tokens=tokens, rows=rows, seconds=seconds, device=name))
        assert benchmark.extra_info["tokens_per_second"] == pytest.approx(tokens / seconds, rel=0.01)


def test_speed_facts_are_consistent() -> None:
    """Tokens per second and milliseconds per token are each other's inverse."""
    facts = speed_facts(tokens=200, rows=4, seconds=0.5, device="x")
    assert (facts["tokens_per_second"], facts["ms_per_token"], facts["rows_per_second"]) == (400.0, 2.5, 8.0)
