"""The command line, whose second process takes long to go when all is done, as where its libraries clean up.

Usage: late.py ARGUMENTS...
"""

from __future__ import annotations

import atexit
import sys
import time

from harness import processes
from harness.cli import main

if __name__ == "__main__":
    if processes.number() == 1:
        atexit.register(time.sleep, 3)
    sys.exit(main())
