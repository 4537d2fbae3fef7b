"""What a sweep itself takes, without training: ``python -m tests.sweeps.scale CELLS ROWS`` keeps made-up cells.

Prints bytes and seconds of a cell and of a row, and the peak memory of the process that reports.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from harness.sweeps.run import run_sweep
from harness.sweeps.work import CellOrder
from tests.sweeps.by_hand import Here, make_archive, small_sweep


def main(cells: int, rows: int) -> None:
    """Two methods, and as many seeds as make so many cells."""
    scores = np.random.default_rng(0).normal(40, 10, rows).round(4)
    archives: dict[str, bytes] = {}
    made = 0.0

    def work(order: CellOrder) -> bytes:
        # The numbers of one cell serve all of its method: here they are only weighed.
        nonlocal made
        method = order.cell.method
        if method not in archives:
            start = time.perf_counter()
            archives[method] = make_archive(order, scores.tolist())
            made += time.perf_counter() - start
        return archives[method]

    sweep = small_sweep(seeds=list(range(cells // 2)))
    with tempfile.TemporaryDirectory() as place:
        began = time.perf_counter()
        done = run_sweep(sweep, Here(), runs=Path(place), work=work)
        kept = time.perf_counter() - began - made
        began = time.perf_counter()
        run_sweep(sweep, Here(), runs=Path(place), work=work)
        reported = time.perf_counter() - began
        size = done.facts["cost"]["bytes"]
        report = sum(path.stat().st_size for path in done.folder.glob("report.*"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    archive = max(map(len, archives.values()))
    sys.stdout.write(
        f"{cells} cells of {rows} rows: {size / cells:,.0f} bytes a cell on disk, {archive:,} to send; "
        f"{1000 * (kept - reported) / cells:.2f} ms to keep and {1000 * reported / cells:.2f} ms to report a cell; "
        f"reports {report:,} bytes; peak memory {peak / 1e6:,.0f} MB\n"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
