"""Finding the smallest input on which something fails, quickly and the same one each time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis.strategies import SearchStrategy

EXAMPLES = 25
SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Failing:
    """An input on which a test fails.

    Args:
        value: the input.
        error: what the test raised.
    """

    value: Any
    error: Exception

    def __str__(self) -> str:
        """The input as a line to paste above a hypothesis test."""
        return f"@example({self.value!r})"


def find_failing(
    strategy: SearchStrategy[Any],
    test: Callable[[Any], object],
    *,
    examples: int = EXAMPLES,
    seconds: float = SECONDS,
) -> Failing | None:
    """The smallest input found on which a test fails; nothing where none was found.

    The same inputs are tried each time, and nothing is written to disk.

    Args:
        strategy: where inputs come from.
        test: raises an exception on an input that it does not accept; it must not depend on anything else.
        examples: how many inputs are tried before shrinking.
        seconds: when so many have passed, no new input is tried.
    """
    ends = time.monotonic() + seconds
    known: dict[str, Exception | None] = {}
    last: Failing | None = None

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        verbosity=Verbosity.quiet,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(strategy)
    def attempt(value: Any) -> None:
        nonlocal last
        key = repr(value)
        if key not in known and time.monotonic() < ends:
            known[key] = _failure(test, value)
        error = known.get(key)
        if error is not None:
            last = Failing(value=value, error=error)
            raise error

    try:
        attempt()
    except Exception:
        if last is None:
            raise
    return last


def _failure(test: Callable[[Any], object], value: Any) -> Exception | None:
    try:
        test(value)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
        return error
    return None
