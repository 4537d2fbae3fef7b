"""A process in which atheris evolves inputs by what code they reach: ``python -m tests.fuzz.evolve TARGET 500 RESULT``.

It is a process of its own, because atheris cannot be left, and watches only modules that it saw imported.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["harness"]):
    from tests.fuzz.targets import find_target
    from tests.fuzz.trial import LONGEST, Trial


def main(name: str, inputs: int, result: Path) -> None:
    """Try so many inputs, write what came of them as JSON, and end the process."""
    with atheris.instrument_imports(include=["harness"]):
        trial = Trial(find_target(name))
        trial(b"")  # imports what is imported late

    def once(data: bytes) -> None:
        trial(data)
        if trial.tally.outcomes.total() >= inputs:
            result.write_text(json.dumps(vars(trial.tally)), encoding="utf-8")
            os._exit(0)  # it would go on for ever

    atheris.Setup([sys.argv[0], f"-max_len={LONGEST}", "-timeout=60", "-rss_limit_mb=8192"], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
