"""What workers do: look at the rows and the base of a task and a model, and run a cell."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.bases import Bases
from harness.errors import UsageError
from harness.experiment import run
from harness.fingerprint import hash_json
from harness.report.account import give_account
from harness.report.folder import write_evidence
from harness.resuming import OF_A_METHOD, describe_circumstances
from harness.sweeps.bench import Bench, find_clash, name_sources, prepare_bench
from harness.sweeps.cells import Cell, Group

if TYPE_CHECKING:
    from harness.experiment import Run

BASES = Bases()
"""Those that this process has scored."""
DEVICE = "device"
"""The part of the circumstances in which the nodes of a cluster may differ."""


@dataclass(frozen=True, kw_only=True)
class LookOrder:
    """A group to look at, and with how many threads."""

    group: Group
    threads: int


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What decides the cells of a task and a model, beside their settings.

    Args:
        sources: for each method what its cells start from: hashes of rows, of base and tokenizer.
        unfit: method to the reason why it fits the task or the model not at all.
        circumstances: for each method those of the worker that looked: environment, code, packages, files.
    """

    sources: Mapping[str, Mapping[str, object]]
    unfit: Mapping[str, str]
    circumstances: Mapping[str, Mapping[str, str | None]]


@dataclass(frozen=True, kw_only=True)
class CellOrder:
    """A cell to run, and what it must start from.

    Args:
        cell: the cell.
        sources: see `Seen`.
        circumstances: what the worker's must be; without a device every device will do.
        threads: how many.
    """

    cell: Cell
    sources: Mapping[str, object]
    circumstances: Mapping[str, str | None]
    threads: int

    @property
    def key(self) -> str:
        """A hash of all that decides how the cell comes out, 16 hex digits."""
        decides = {
            "settings": self.cell.experiment.model_dump(mode="json"),
            "sources": self.sources,
            "circumstances": self.circumstances,
        }
        return hash_json(decides)[:16]


def look(order: LookOrder) -> Seen:
    """Look at what a task's and a model's cells start from, and which methods fit. Nothing is trained.

    Raises:
        UsageError: the data or the model cannot be used.
    """
    with threads_of(order.threads):
        made: dict[str, Bench] = {}
        sources: dict[str, Mapping[str, object]] = {}
        unfit: dict[str, str] = {}
        circumstances: dict[str, Mapping[str, str | None]] = {}
        for cell in order.group.first_of_each_method:
            experiment = cell.experiment
            if clash := find_clash(experiment):
                unfit[cell.method] = clash
                continue
            shared = hash_json(experiment.model_dump(mode="json", exclude=OF_A_METHOD))
            if shared not in made:
                made[shared] = prepare_bench(experiment)
            if obstacle := made[shared].find_obstacle(experiment):
                unfit[cell.method] = obstacle
            else:
                sources[cell.method] = made[shared].sources
                circumstances[cell.method] = describe_circumstances([experiment])
        return Seen(sources=sources, unfit=unfit, circumstances=circumstances)


def run_cell(order: CellOrder) -> bytes:
    """Run a cell; returns its folder as a ZIP archive, for nobody but the one who asked writes to the sweep.

    A base that an earlier cell of this process has asked and scored in the same way is not scored again.

    Raises:
        UsageError: this worker is another than the one that looked: its packages, code, files, rows or base.
        HarnessError: what `harness.experiment.run` raises.
    """
    with threads_of(order.threads), tempfile.TemporaryDirectory() as place:
        require_same(order.circumstances, describe_circumstances([order.cell.experiment]))
        done = run(order.cell.experiment, baselines=Path(place) / "none", bases=BASES)
        require_same(order.sources, sources_of(done))
        folder = Path(place) / "cell"
        folder.mkdir()
        write_evidence(done, give_account(done), folder)
        return pack(folder)


def sources_of(done: Run) -> Mapping[str, object]:
    """What a run started from, by its manifests."""
    base, tuned = done.base.manifest, done.tuned.manifest
    return name_sources(str(tuned.train_rows), base.rows, base.model.model_dump())


def require_same(wanted: Mapping[str, object], found: Mapping[str, object]) -> None:
    """Make sure that a worker starts from what the sweep was begun with.

    Raises:
        UsageError: it does not.
    """
    differing = [f"{name}: {found.get(name)} here, {value} there" for name, value in wanted.items()
                 if found.get(name) != value]  # fmt: skip
    if differing:
        raise UsageError(
            f"This worker differs from the one that looked at the cell ({'; '.join(differing)}).",
            why="Cells of both would not be comparable, and neither could be found again by its hash.",
            fix="Give all workers the same packages, files and models.",
        )


@contextmanager
def threads_of(count: int) -> Iterator[None]:
    """Compute with so many threads during the block."""
    import torch  # noqa: PLC0415 - torch loads late

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def pack(folder: Path) -> bytes:
    """A folder as a ZIP archive."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                file.write(path, path.relative_to(folder).as_posix())
    return archive.getvalue()


def unpack(archive: bytes, folder: Path) -> None:
    """Write into a folder what `pack` packed."""
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        file.extractall(folder)
