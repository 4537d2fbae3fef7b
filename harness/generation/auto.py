"""The engine "auto": the fastest that wrote what the reference wrote, on a probe of the rows themselves."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.generation import AUTO, ENGINES, REFERENCE
from harness.generation.engine import Engine, Resolved

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from harness.tasks.task import EncodedRow

PROBED = 16
"""Rows that every engine writes before one is chosen."""
ROUNDS = 2
"""How often each is timed; the better time counts. The first round warms up as well."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which engine was chosen, and why.

    Args:
        engine: its name.
        found: each engine's name to what was found of it, a sentence.
    """

    engine: str
    found: dict[str, str]

    def describe(self) -> dict[str, str]:
        """For the manifest."""
        return {"chosen": self.engine, **self.found}


def choose_engine(model: PreTrainedModel, rows: Sequence[EncodedRow], settings: Resolved, *, batch_size: int) -> Choice:
    """Let every engine write the probe, in turns, and choose the fastest of those that agree.

    Args:
        model: writes.
        rows: of which some are taken, evenly over all.
        settings: resolved settings.
        batch_size: rows in a batch, at most.

    Returns:
        The reference, where no other agrees or none is faster.
    """
    from harness.generation.agreement import compare_outputs  # noqa: PLC0415 - torch loads late

    probe = rows[:: max(1, len(rows) // PROBED)][:PROBED]
    found: dict[str, str] = {}
    engines: dict[str, Engine] = {}
    for name in ENGINES:
        if name != AUTO:
            try:
                engine = ENGINES[name]
                engine.refuse(model, settings)
            except UsageError as error:
                found[name] = f"not used: {error.seen}"
            else:
                if engine.exact:
                    engines[name] = engine
    seconds = dict.fromkeys(engines, float("inf"))
    written: dict[str, list[list[int]]] = {}
    for _ in range(ROUNDS):
        for name, engine in engines.items():
            began = time.perf_counter()
            written[name] = engine.write(model, probe, settings, batch_size=batch_size)
            seconds[name] = min(seconds[name], time.perf_counter() - began)
    agreed = []
    for name in engines:
        agreement = compare_outputs(model, probe, settings, written[name], written[REFERENCE])
        found[name] = f"{agreement}; {seconds[REFERENCE] / seconds[name]:.1f} times the reference's speed"
        if agreement.holds:
            agreed.append(name)
    return Choice(engine=min(agreed, key=seconds.__getitem__, default=REFERENCE), found=found)


class AutoEngine:
    """Chooses by the rows that it is given, and lets the chosen engine write them all."""

    exact = True

    def refuse(self, model: PreTrainedModel, settings: Resolved) -> None:
        """There is always the reference."""

    def __call__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        rows: Sequence[EncodedRow],
        settings: Resolved,
        *,
        batch_size: int,
        batch_tokens: int | None = None,
    ) -> list[str]:
        """The outputs in the order of the rows."""
        engine = self._choose(model, rows, settings, batch_size)
        return engine(model, tokenizer, rows, settings, batch_size=batch_size, batch_tokens=batch_tokens)

    def write(
        self,
        model: PreTrainedModel,
        rows: Sequence[EncodedRow],
        settings: Resolved,
        *,
        batch_size: int,
        batch_tokens: int | None = None,
    ) -> list[list[int]]:
        """The new tokens of each row."""
        engine = self._choose(model, rows, settings, batch_size)
        return engine.write(model, rows, settings, batch_size=batch_size, batch_tokens=batch_tokens)

    def _choose(
        self, model: PreTrainedModel, rows: Sequence[EncodedRow], settings: Resolved, batch_size: int
    ) -> Engine:
        return ENGINES[choose_engine(model, rows, settings, batch_size=batch_size).engine]


generate = AutoEngine()
"""The engine "auto"."""
