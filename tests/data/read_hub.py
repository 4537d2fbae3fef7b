"""Read a split of a hub data set: ``python -m tests.data.read_hub NAME SPLIT`` prints its rows, or the error."""

from __future__ import annotations

import json
import sys

from harness.config import DataSettings
from harness.data.hub import read_hub
from harness.errors import HarnessError
from harness.tasks.summarization import SUMMARIZATION

if __name__ == "__main__":
    name, split = sys.argv[1:]
    try:
        rows = [[row.input, row.target] for row in read_hub(name, DataSettings(), SUMMARIZATION, split=split)]
    except HarnessError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    sys.stdout.write(json.dumps(rows) + "\n")
