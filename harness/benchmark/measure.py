"""Engines timed in turns on the same batch, so that what a noisy machine takes it takes from all of them."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, cast

import torch
from transformers import PreTrainedModel

from harness.benchmark.cases import Case, make_sources
from harness.benchmark.roofline import Shape, read_shape
from harness.device import at_work, synchronise
from harness.generation import ENGINES, REFERENCE
from harness.generation.batched import BatchedEngine, WriteBatch, trim
from harness.generation.engine import Resolved, resolve_settings
from harness.memory import watch_memory
from harness.statistics.median import MedianInterval, describe_median


@dataclass(frozen=True, kw_only=True)
class Timed:
    """What was measured of one engine in one case.

    Args:
        engine: its name.
        case: what it did.
        seconds: of each round, for the whole batch.
        first: seconds to the first token, of each round.
        ratios: seconds of the reference over its own, round by round.
        tokens: new tokens of the batch, by count: what ends early counts less.
        equal: rows whose tokens are those of the reference.
        peak: bytes at the highest, above what was taken before.
        shape: what decides the bytes of a step.
    """

    engine: str
    case: Case
    seconds: tuple[float, ...]
    first: tuple[float, ...]
    ratios: tuple[float, ...]
    tokens: int
    equal: int
    peak: int
    shape: Shape

    @property
    def step_seconds(self) -> MedianInterval:
        """Of a step behind the first."""
        steps = self.case.new_tokens - 1
        return describe_median([(whole - first) / steps for whole, first in zip(self.seconds, self.first, strict=True)])

    def share_of_roofline(self, bandwidth: float) -> float:
        """See `harness.benchmark.roofline`; a share, not percent."""
        moved = self.shape.step_bytes(
            rows=self.case.batch,
            beams=self.case.beams,
            source_length=self.case.source_length,
            past=(self.case.new_tokens + 1) / 2,
        )
        return moved / bandwidth / self.step_seconds.median


def measure_case(model: PreTrainedModel, case: Case, engines: Sequence[str], *, rounds: int) -> list[Timed]:
    """Time engines in one case, in turns.

    Each engine first generates the batch once, untimed. Then every round times the whole batch and the first token of
    each engine, one engine after the other, each first in its turn. The memory is watched in a run of its own.

    Args:
        model: float32; it is copied, and the copy brought to the case's precision.
        case: what is generated.
        engines: names; the reference is added where it is missing.
        rounds: how often.

    Raises:
        SettingsError: an engine does not know the model.
    """
    names = list(dict.fromkeys([REFERENCE, *engines]))
    model = copy.deepcopy(model).to(getattr(torch, case.dtype))
    sources = make_sources(model, case)
    whole = resolve_settings(model, case.settings)
    first = whole | {"min_length": 0, "max_length": 2}
    with ExitStack() as stack:
        stack.enter_context(at_work(model))

        def open_engine(name: str, settings: Resolved) -> WriteBatch:
            engine = cast("BatchedEngine", ENGINES[name])
            engine.refuse(model, settings)
            return stack.enter_context(engine.open(model, settings, batch_size=case.batch))

        # The reference hides the model's own settings while it is open, and each opening hides those before.
        writers = {name: (open_engine(name, whole), open_engine(name, first)) for name in names}
        written = {name: trim(write(sources), whole) for name, (write, _) in writers.items()}
        for _, write_first in writers.values():
            write_first(sources)
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
        for number in range(rounds):
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                write, write_first = writers[name]
                taken[name].append(
                    (
                        time_call(write, sources, model.device),
                        time_call(write_first, sources, model.device),
                    )
                )
        peaks = {name: _watch(write, sources) for name, (write, _) in writers.items()}
        shape = read_shape(model)
    return [
        Timed(
            engine=name,
            case=case,
            seconds=tuple(seconds for seconds, _ in taken[name]),
            first=tuple(seconds for _, seconds in taken[name]),
            ratios=tuple(
                reference / own for (reference, _), (own, _) in zip(taken[REFERENCE], taken[name], strict=True)
            ),
            tokens=sum(map(len, written[name])),
            equal=sum(own == other for own, other in zip(written[name], written[REFERENCE], strict=True)),
            peak=peaks[name],
            shape=shape,
        )
        for name in names
    ]


def time_call(write: Callable[[Any], Any], sources: Any, device: torch.device) -> float:
    """Seconds of one call; the device has nothing left to do when the clock starts, and when it stops."""
    synchronise(device)
    began = time.perf_counter()
    write(sources)
    synchronise(device)
    return time.perf_counter() - began


def _watch(write: WriteBatch, sources: Sequence[Sequence[int]]) -> int:
    with watch_memory() as peak:
        write(sources)
    return peak.bytes
