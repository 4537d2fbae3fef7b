"""Too little memory, a clock that jumps, and weights that changed under a name."""

from __future__ import annotations

import json
import resource
import shutil
import time
from datetime import UTC, datetime
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import harness.models
from harness.baselines.store import newest_run
from harness.config import ModelSettings
from harness.generation import ENGINES
from harness.models.loading import load_model
from harness.tasks.task import EncodedRow
from tests.faults.conftest import Note
from tests.faults.process import CONTEXT, PATIENCE, die_behind, find_runs, kill, read_evidence, run
from tests.generation.graph.random_models import resolve

pytestmark = pytest.mark.faults
MEGABYTE = 1 << 20
ROWS, ROOM = 64, 48 * MEGABYTE


def write_with_little_room(told: Connection) -> None:
    """Generate for long rows in one batch with and without room for it, and tell what came of both."""
    from harness.generation import transformers_engine  # noqa: PLC0415

    torch.set_num_threads(1)
    loaded = load_model(ModelSettings(), auto_class="AutoModelForSeq2SeqLM")
    rows = [
        EncodedRow(id=str(n), input_ids=[5 + (n * 7 + place) % 900 for place in range(400)], features=())
        for n in range(ROWS)
    ]
    settings = {**resolve(loaded.model, max_length=8), "early_stopping": False}
    sizes: list[int] = []
    right = transformers_engine.generate_batch

    def watch(model: Any, sources: Any, config: Any) -> Any:
        sizes.append(len(sources))
        return right(model, sources, config)

    transformers_engine.generate_batch = watch
    engine = ENGINES["transformers"]
    engine.write(loaded.model, rows[:1], settings, batch_size=1)
    small = engine.write(loaded.model, rows, settings, batch_size=1)
    sizes.clear()
    taken = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + ROOM, taken + ROOM))
    written = engine.write(loaded.model, rows, settings, batch_size=ROWS)
    told.send((sizes, written == small, len(written)))


def test_too_little_memory_halves_the_batches(note: Note) -> None:
    """A process that may take no more memory: torch's own allocator fails, batches are halved, no output changes."""
    ours, theirs = CONTEXT.Pipe(duplex=False)
    child = CONTEXT.Process(target=write_with_little_room, args=(theirs,))
    child.start()
    child.join(PATIENCE)
    assert ours.poll(0), child.exitcode
    sizes, same, count = ours.recv()
    assert sizes[0] == ROWS
    assert sizes[-1] < ROWS
    assert same
    assert count == ROWS
    note("out of memory", f"RLIMIT_AS {ROOM // MEGABYTE} MB above what is taken, a batch of {ROWS} long rows", 1,
         f"halved to {sizes[-1]} rows and gone on; no output lost or changed")  # fmt: skip


def jump(hours: float) -> None:
    """Set the clock of this process: every call of the time of day is so many hours off."""
    import harness.progress  # noqa: PLC0415
    import harness.report.folder  # noqa: PLC0415

    real, real_time = datetime, time.time

    class Jumped(real):  # type: ignore[misc, valid-type]
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # noqa: ARG003 - as the real one
            result: datetime = real.fromtimestamp(real_time() + hours * 3600, UTC)
            return result

    time.time = lambda: real_time() + hours * 3600
    harness.report.folder.datetime = Jumped  # type: ignore[misc]


def jump_back() -> None:
    jump(-24 * 365)


def jump_forth() -> None:
    jump(24 * 365)


def test_clock_that_jumps_changes_neither_order_nor_durations(tmp_path: Path, undisturbed: Path, note: Note) -> None:
    """Runs with the clock right, a year back and a year ahead: the newest is the last, and no stage takes a year."""
    runs = []
    for prepare in (None, jump_back, jump_forth, None):
        ended = run(tmp_path, prepare=prepare)
        assert ended.code in {0, 1, 3}, ended.said
        newest = newest_run(tmp_path / "runs", "summarization-full")
        assert newest not in runs
        runs.append(newest)
        seconds = json.loads((newest / "verdict.json").read_text(encoding="utf-8"))["seconds"]
        assert all(0 <= value < 600 for value in seconds.values())
        assert read_evidence(newest) == read_evidence(undisturbed)
    assert runs == find_runs(tmp_path)
    note("clock that jumps", "a year back, a year ahead, and right again", 3, "runs stay in order; durations are right")


@pytest.mark.parametrize("prepare", [jump_back, jump_forth])
def test_clock_that_jumps_between_kill_and_command(
    tmp_path: Path, undisturbed: Path, note: Note, prepare: object
) -> None:
    """Killed, and the clock is a year off when the command is given again: it goes on, and says no negative age."""
    kill(tmp_path, partial(die_behind, "/step-3"))
    ended = run(tmp_path, prepare=prepare)
    assert "training goes on from step" in ended.said
    assert "kept -" not in ended.said
    assert read_evidence(find_runs(tmp_path)[0]) == read_evidence(undisturbed)
    note("clock that jumps between", getattr(prepare, "__name__", "") + " behind a kill -9", 1, "goes on, bit-equal")


def test_one_other_weight_finds_nothing_of_before(tmp_path: Path, note: Note) -> None:
    """One weight changed under the same path behind a kill: no arm or checkpoint of before is used, and none served."""
    model = tmp_path / "model"
    shutil.copytree(Path(harness.models.__file__).parent / "tiny-t5", model)
    changes = {"model.name": str(model)}
    killed, anew = tmp_path / "killed", tmp_path / "anew"
    killed.mkdir(), anew.mkdir()
    kill(killed, partial(die_behind, "/step-3"), changes)
    weights = load_file(model / "model.safetensors")
    weights[min(weights)].view(-1)[0] += 1.0
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    ended = run(killed, changes)
    assert "already" not in ended.said
    assert "goes on" not in ended.said
    assert run(anew, changes).code == ended.code
    assert read_evidence(find_runs(killed)[0]) == read_evidence(find_runs(anew)[0])
    note("another model under the same name", "one weight changed behind a kill -9", 1, "nothing of before is used")
