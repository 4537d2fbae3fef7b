"""Where the bytes come from: hypothesis draws them, atheris evolves them by what code they reach."""

from __future__ import annotations

import random
from collections.abc import Callable

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz.trial import Tally, Target, Trial

LONGEST = 48
"""Bytes of an input: about ten changes."""


def by_hypothesis(target: Target, inputs: int) -> Tally:
    """Try so many inputs that hypothesis draws; each is another in every session, unless it is CI's."""
    trial = Trial(target)
    trial(b"")

    @settings(
        max_examples=inputs, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=[*HealthCheck]
    )
    @given(st.binary(max_size=LONGEST))
    def draw(data: bytes) -> None:
        trial(data)

    draw()
    # Of what is equal hypothesis draws no second one.
    rest = random.Random(inputs)
    while trial.tally.outcomes.total() < inputs:
        trial(rest.randbytes(rest.randrange(LONGEST)))
    return trial.tally


def by_atheris(target: Target, inputs: int, done: Callable[[Tally], None]) -> None:
    """Try so many inputs that atheris evolves, call ``done``, and end the process."""
    import os
    import sys

    import atheris

    trial = Trial(target)

    def once(data: bytes) -> None:
        trial(data)
        if trial.tally.outcomes.total() >= inputs:
            done(trial.tally)
            os._exit(0)  # libFuzzer would go on for ever

    atheris.Setup([sys.argv[0], f"-max_len={LONGEST}", "-timeout=60", "-rss_limit_mb=8192"], once)
    atheris.Fuzz()
