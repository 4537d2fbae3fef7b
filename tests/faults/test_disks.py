"""Disks that are full, read-only or damaged, and two processes in one folder."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from harness.atomic import LOCK_FILE
from harness.progress import PIECE_FILE
from tests.faults.conftest import Note
from tests.faults.process import Process, die_behind, find_runs, kill, list_leftovers, read_evidence, run

pytestmark = pytest.mark.faults
MEGABYTE = 1 << 20
Mount = Callable[[str], Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """A file system of its own, so many bytes large; skips where this user may mount none, but not in CI."""
    place = tmp_path / "disk"
    place.mkdir()
    root = [] if os.getuid() == 0 else ["sudo", "--non-interactive"]

    def make(options: str) -> Path:
        owned = f"{options},uid={os.getuid()},gid={os.getgid()}"
        command = [*root, "mount", "-t", "tmpfs", "-o", owned, "tmpfs", str(place)]
        try:
            subprocess.run(command, capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            said = f"this user may not mount: {getattr(error, 'stderr', None) or error}".strip()
            (pytest.fail if os.environ.get("CI") else pytest.skip)(said)
        return place

    yield make
    if os.path.ismount(place):
        subprocess.run([*root, "umount", "--lazy", str(place)], check=True)


def require_whole(folder: Path) -> int:
    """Make sure that nothing below is half-written; returns how many pieces there are."""
    assert not [path for path in folder.rglob("*") if path.name.endswith((".new", ".old")) or ".harness-" in path.name]
    pieces = [path.parent for path in folder.rglob(PIECE_FILE)]
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in {LOCK_FILE, ".gitignore"}]
    assert all(any(piece in path.parents for piece in pieces) for path in files)
    return len(pieces)


@pytest.mark.parametrize("megabytes", [1, 12, 27])
def test_full_disk_is_a_sentence(tmp_path: Path, mount: Mount, undisturbed: Path, note: Note, megabytes: int) -> None:
    """Full at the base, in a checkpoint, behind some: one sentence, nothing half-written; with room it goes on."""
    disk = mount(f"size={megabytes}m")
    ended = run(tmp_path, None, "--runs", str(disk / "runs"))
    assert ended.code == 2, ended.said
    assert "cannot be written: " in ended.said.splitlines()[-1]
    assert "Make room on that disk, or choose another folder." in ended.said.splitlines()[-1]
    assert "Traceback" not in ended.said
    pieces = require_whole(disk)
    subprocess.run(["mount", "-o", "remount,size=200m", str(disk)], check=True)
    again = run(tmp_path, None, "--runs", str(disk / "runs"))
    assert "already" in again.said or not pieces
    (done,) = disk.glob("runs/*/2*")
    assert read_evidence(done) == read_evidence(undisturbed)
    note("disk full", f"a real file system of {megabytes} MB; then it is made larger", 1,
         f"one sentence, exit 2, {pieces} whole pieces stay; goes on, bit-equal")  # fmt: skip


def limit_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (3 * MEGABYTE, 3 * MEGABYTE))


def test_file_too_large_is_a_sentence(tmp_path: Path, undisturbed: Path, note: Note) -> None:
    """Where no file may be larger than 3 MB, a checkpoint is not written, and the run says so; without it goes on."""
    ended = run(tmp_path, prepare=limit_files)
    assert ended.code == 2, ended.said
    assert "cannot be written: " in ended.said.splitlines()[-1]
    require_whole(tmp_path / "runs")
    assert "already" in run(tmp_path).said
    assert read_evidence(find_runs(tmp_path)[0]) == read_evidence(undisturbed)
    note("file too large", "RLIMIT_FSIZE of 3 MB", 1, "one sentence, exit 2, nothing half-written; goes on, bit-equal")


def test_read_only_disk_is_a_sentence_before_anything_trains(tmp_path: Path, mount: Mount, note: Note) -> None:
    """On a file system that is mounted read-only, a run ends before it loads a model, and a baseline is read."""
    disk = mount("size=8m")
    (disk / "runs").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    ended = run(tmp_path, None, "--runs", str(disk / "runs"), "--baselines", str(disk))
    assert ended.code == 2
    assert ended.said.splitlines()[-1].startswith("UsageError: Runs cannot be written to")
    assert "Read-only file system" in ended.said
    assert "model tiny-t5" not in ended.said
    ended = run(tmp_path, None, "--baselines", str(disk))
    assert ended.code in {0, 1, 3}, ended.said
    note(
        "read-only folder", "a real file system, mounted read-only", 1, "one sentence, exit 2, before a model is loaded"
    )


def test_two_in_one_folder_both_end_well(tmp_path: Path, undisturbed: Path, note: Note) -> None:
    """Two processes with the same command: the second says that it keeps nothing; both end with the same bits."""
    first, second = Process(tmp_path), tmp_path / "second"
    second.mkdir()
    while not any(tmp_path.glob("runs/*/unfinished/*/seed-42/training-1/step-1")):
        assert first.child.is_alive(), first.said
        time.sleep(0.001)
    other = run(second, None, "--runs", str(tmp_path / "runs"))
    ended = first.wait()
    assert "another process is at this very run" in other.said
    assert {other.code, ended.code} <= {0, 1, 3}
    assert [read_evidence(each) for each in find_runs(tmp_path)] == [read_evidence(undisturbed)] * 2
    assert not any(tmp_path.glob("runs/*/unfinished"))
    note("two runs in one folder", "the same command twice at once", 2, "the second says so; both end bit-equal")


@pytest.mark.parametrize("damage", ["a byte", "cut short", "gone", "the seal"])
def test_damaged_checkpoint_falls_back_to_the_last_good_one(
    tmp_path: Path, undisturbed: Path, note: Note, damage: str
) -> None:
    """The last checkpoint damaged in four ways: one line says so, the one before is taken, the end is bit-equal."""
    kill(tmp_path, partial(die_behind, "/step-5"))
    (training,) = tmp_path.glob("runs/*/unfinished/*/seed-42/training-1")
    *_, before, last = sorted(training.glob("step-*"))
    file = last / ("optimizer.pt" if damage != "the seal" else PIECE_FILE)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(content[: len(content) // 3] if damage == "cut short" else bytes(content))
    ended = run(tmp_path)
    assert f"{last.name} is damaged (" in ended.said
    assert f"training goes on from {before.name.replace('-', ' ')} of 8" in ended.said
    assert read_evidence(find_runs(tmp_path)[0]) == read_evidence(undisturbed)
    assert list_leftovers(tmp_path) == []
    note("damaged checkpoint", f"{file.name}: {damage}", 1, "one line; goes on from the one before, bit-equal")


def test_every_piece_damaged_begins_anew(tmp_path: Path, undisturbed: Path, note: Note) -> None:
    """A byte of every file turned: nothing of it is used, each is named, and the run ends bit-equal."""
    kill(tmp_path, partial(die_behind, "/step-5"))
    pieces = [path.parent for path in tmp_path.rglob(PIECE_FILE)]
    for path in (each for piece in pieces for each in piece.iterdir()):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(bytes(content))
    ended = run(tmp_path)
    assert ended.said.count(" is damaged (") == len(pieces)
    assert "goes on" not in ended.said
    assert read_evidence(find_runs(tmp_path)[0]) == read_evidence(undisturbed)
    note("all pieces damaged", "a bit of every file turned", len(pieces), "each is named, none is used; bit-equal")


def test_baseline_on_a_full_disk_stays_as_it_was(tmp_path: Path, mount: Mount, note: Note) -> None:
    """A baseline that is replaced where there is no room: one sentence, and the old one is read, whole."""
    from harness.baselines import Baseline, read_baseline, store_baseline  # noqa: PLC0415
    from harness.errors import UsageError  # noqa: PLC0415
    from tests.arms import make_arm  # noqa: PLC0415

    disk = mount("size=1m")

    def make(rows: int) -> Baseline:
        base = make_arm([1.0] * rows, experiment="x", outputs=["b" * 100] * rows)
        tuned = make_arm([2.0] * rows, experiment="x", role="tuned", outputs=["t" * 100] * rows)
        return Baseline(base=base, tuned=tuned)

    store_baseline(disk, make(20), force=True)
    before = read_baseline(disk, "x")
    with pytest.raises(UsageError, match=r"No space left on device.*Make room"):
        store_baseline(disk, make(4000), why="larger", force=True)
    assert read_baseline(disk, "x") == before
    assert sorted(path.name for path in disk.iterdir()) == [LOCK_FILE, "x"]
    note("disk full at a baseline", "a real file system of 1 MB", 1, "one sentence; the old baseline stays, whole")


def test_disk_usage_is_bounded(tmp_path: Path) -> None:
    """Of the checkpoints two stay, and once the weights are kept, none."""
    process = Process(tmp_path)
    most = 0
    while process.child.is_alive():
        most = max(most, len(list(tmp_path.glob("runs/*/unfinished/*/seed-42/training-1/step-*"))))
        time.sleep(0.002)
    assert process.wait().code in {0, 1, 3}
    # For a moment there are three: the third is whole before the first goes.
    assert 2 <= most <= 3
