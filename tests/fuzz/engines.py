"""Where the bytes come from: hypothesis draws them, atheris evolves them by what code they reach."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz.trial import LONGEST, Tally, Target, Trial


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


def by_atheris(target: Target, inputs: int) -> Tally:
    """Try so many inputs that atheris evolves, in a process of its own."""
    with tempfile.TemporaryDirectory() as place:
        result = Path(place) / "tally.json"
        command = [sys.executable, "-m", "tests.fuzz.evolve", target.name, str(inputs), str(result)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not result.exists():
            raise RuntimeError(f"atheris ended with {done.returncode}: {done.stderr[-2000:]}")
        found = json.loads(result.read_text(encoding="utf-8"))
    return Tally(outcomes=Counter(found["outcomes"]), bugs=found["bugs"], seconds=found["seconds"])


ENGINES: dict[str, Callable[[Target, int], Tally]] = {"hypothesis": by_hypothesis, "atheris": by_atheris}
