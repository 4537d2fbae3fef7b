"""The command line, on whose second process the training fails while the first waits for it.

Usage: fail.py ARGUMENTS...
"""

from __future__ import annotations

import sys
from typing import Any

from harness import processes
from harness.cli import main
from harness.errors import DataError


def fail(*_: Any, **__: Any) -> None:
    """As where one machine alone has lost its disk."""
    raise DataError("The rows are gone.", fix="Look for them.")


if __name__ == "__main__":
    if processes.number() == 1:
        import harness.training

        harness.training._choose_trainer = fail
    sys.exit(main())
