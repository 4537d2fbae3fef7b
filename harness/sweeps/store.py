"""A sweep on disk: ``runs/NAME/``, in which one process at a time writes.

::

    cells/KEY/           a run as `harness run` writes it, without its reports, and cell.json
    errors/KEY.json      every try that failed, also of cells that were done later
    report.json, report.md, report.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.atomic import recover, whole_folder, write_whole
from harness.baselines.approval import now
from harness.baselines.store import Baseline, read_run
from harness.errors import BaselineError, UsageError
from harness.report.account import write_text
from harness.report.folder import keep_out_of_git
from harness.sweeps.runner import Ended
from harness.sweeps.work import CellOrder, unpack

CELL_FILE = "cell.json"


@dataclass(frozen=True)
class Store:
    """The folder of a sweep.

    Args:
        folder: ``runs/NAME``.
    """

    folder: Path

    def place(self, key: str) -> Path:
        """Where a cell is, or will be."""
        return self.folder / "cells" / key

    def is_done(self, key: str) -> bool:
        """Whether a cell is there; it appears as a whole or not at all."""
        return (self.place(key) / CELL_FILE).is_file()

    def recover(self) -> None:
        """Clear away what a process that was killed had begun to write, and put back what it had set aside."""
        for left in (*self.folder.glob("cells/.*.new"), *self.folder.glob("cells/.*.old")):
            recover(left.with_name(left.name[1:].rsplit(".", 1)[0]))

    def keep(self, order: CellOrder, ended: Ended) -> None:
        """Write a cell that is done.

        Raises:
            UsageError: it cannot be written.
        """
        cell = order.cell
        facts = {
            "task": cell.task,
            "model": cell.model,
            "method": cell.method,
            "seed": cell.seed,
            "key": order.key,
            "seconds": ended.seconds,
            "worker": ended.worker,
            "finished": now(),
            "failed_before": len(self.read_errors(order.key)),
        }
        with whole_folder(self.place(order.key)) as fresh:
            unpack(ended.value, fresh)
            write_text(fresh / CELL_FILE, json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
        keep_out_of_git(self.folder.parent)

    def keep_error(self, order: CellOrder, ended: Ended) -> None:
        """Add a try that failed to those of its cell.

        Raises:
            UsageError: it cannot be written.
        """
        if ended.failure is None:
            return
        entry = {**asdict(ended.failure), "seconds": ended.seconds, "worker": ended.worker, "when": now()}
        self.write(
            f"errors/{order.key}.json", {"cell": str(order.cell), "tries": [*self.read_errors(order.key), entry]}
        )

    def read_errors(self, key: str) -> list[dict[str, Any]]:
        """All tries of a cell that failed, the oldest first; none where what is written cannot be read."""
        try:
            found = json.loads((self.folder / "errors" / f"{key}.json").read_text(encoding="utf-8"))["tries"]
        except (OSError, ValueError, LookupError, TypeError):
            return []
        return list(found)

    def read_cell(self, key: str) -> dict[str, Any]:
        """What is known of how a done cell came about.

        Raises:
            UsageError: the cell is damaged.
        """
        return self._read(key, CELL_FILE)

    def read_verdict(self, key: str) -> dict[str, Any]:
        """The facts of a done cell's run.

        Raises:
            UsageError: the cell is damaged.
        """
        return self._read(key, "verdict.json")

    def read_arms(self, key: str, experiment: str) -> Baseline:
        """The arms of a done cell.

        Raises:
            UsageError: the cell is damaged.
        """
        try:
            return read_run(self.place(key), experiment)
        except BaselineError as error:
            raise self._damaged(key, error.seen, why=error.why) from error

    def _read(self, key: str, name: str) -> dict[str, Any]:
        try:
            return dict(json.loads((self.place(key) / name).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise self._damaged(key, f"{self.place(key) / name} cannot be read: {error}.") from error

    def _damaged(self, key: str, seen: str, why: str = "") -> UsageError:
        return UsageError(seen, why=why, fix=f"Delete {self.place(key)}; the cell then runs again.")

    def write(self, name: str, content: Mapping[str, Any]) -> None:
        """Write JSON, whole or not at all."""
        self.write_whole(name, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")

    def write_whole(self, name: str, text: str) -> None:
        """Write a file in one step: whoever reads it meanwhile finds the old one.

        Raises:
            UsageError: it cannot be written.
        """
        write_whole(self.folder / name, text.encode("utf-8", "replace"))

    def measure(self, key: str) -> int:
        """The bytes of a cell on disk."""
        return sum(path.stat().st_size for path in self.place(key).rglob("*") if path.is_file())
