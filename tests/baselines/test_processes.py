"""Real processes: two that write at once lose nothing, and one that is killed leaves the old or the new."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.baselines import read_baseline

ROOT = Path(__file__).parents[2]
WRITER = """
import sys
from pathlib import Path
from harness.baselines import Baseline, store_baseline
from tests.arms import make_arm

def store(folder, experiment, version, **options):
    base = make_arm([1.0] * 40, experiment=experiment, outputs=[f"base {version}"] * 40)
    tuned = make_arm([2.0] * 40, experiment=experiment, role="tuned", outputs=[f"tuned {version}"] * 40)
    store_baseline(Path(folder), Baseline(base=base, tuned=tuned), why="again", **options)
"""
FOREVER = """
print("ready", flush=True)
for version in range(1_000_000):
    store(sys.argv[1], "x", version)
"""


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "CI"} | {"PYTHONPATH": str(ROOT)}


def start(program: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER + program, *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment(), stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def version_of(folder: Path) -> int:
    """The version that is stored: the same in every row of both arms."""
    baseline = read_baseline(folder, "x")
    assert baseline is not None
    versions = {row.output.split()[1] for arm in (baseline.base, baseline.tuned) for row in arm.rows}
    assert len(versions) == 1
    return int(versions.pop())


@pytest.mark.slow
def test_killed_at_any_moment_it_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    """A process that stores without end is killed twelve times; what is read is whole each time."""
    moments = random.Random(0)
    subprocess.run(
        [sys.executable, "-c", WRITER + 'store(sys.argv[1], "x", 0)', str(tmp_path)], env=environment(), check=True
    )
    for _ in range(12):
        writer = start(FOREVER, str(tmp_path))
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(moments.uniform(0.005, 0.1))
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        version_of(tmp_path)
        assert [path.name for path in tmp_path.iterdir() if path.name not in {".lock", ".x.new", ".x.old", "x"}] == []


@pytest.mark.parametrize(("rename", "left"), [(1, "old"), (2, "old"), (3, "new")])
def test_killed_at_each_rename_it_leaves_the_old_or_the_new(tmp_path: Path, rename: int, left: str) -> None:
    """Killed before the first rename, between the two, and behind both: the old, the old, and the new are read."""
    program = f"""
import os, signal
from pathlib import Path
store(sys.argv[1], "x", 1)
seen = 0
original = Path.rename
def rename(path, target):
    global seen
    seen += 1
    if seen == {rename}:
        os.kill(os.getpid(), signal.SIGKILL)
    result = original(path, target)
    if seen == 2 and {rename} == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return result
Path.rename = rename
store(sys.argv[1], "x", 2)
"""
    writer = start(program, str(tmp_path))
    writer.communicate()
    assert writer.returncode == -signal.SIGKILL
    assert version_of(tmp_path) == {"old": 1, "new": 2}[left]
    assert (tmp_path / "x").is_dir()


def test_two_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    """Four processes store eight experiments each, two of them the same eight; all are there and whole."""
    program = 'for number in range(8):\n    store(sys.argv[1], f"{sys.argv[2]}-{number}", 1)\n'
    writers = [start(program, str(tmp_path), group) for group in ("a", "b", "c", "c")]
    for writer in writers:
        errors = writer.communicate()[1]
        assert writer.returncode == 0, errors
    for group in "abc":
        for number in range(8):
            assert read_baseline(tmp_path, f"{group}-{number}") is not None


SLOWLY = """
import time
from harness.arm import Arm
original = Arm.write
def slow(arm, folder):
    time.sleep(0.2)
    original(arm, folder)
Arm.write = slow
print("ready", flush=True)
sys.stdin.readline()
"""


def start_together(program: str, folder: Path) -> list[subprocess.Popen[str]]:
    """Two processes that write slowly and begin in the same moment, so that without a lock they would be in between."""
    writers = [start(SLOWLY + program, str(folder), version) for version in ("1", "2")]
    for writer in writers:
        assert writer.stdout is not None
        writer.stdout.readline()
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    return writers


def test_two_that_replace_the_same_do_so_one_after_the_other(tmp_path: Path) -> None:
    """Both succeed, and what is read is one of them, whole."""
    writers = start_together('store(sys.argv[1], "x", int(sys.argv[2]))\n', tmp_path)
    errors = [writer.communicate()[1] for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0], errors
    assert version_of(tmp_path) in {1, 2}


def test_two_that_create_the_missing_store_it_once(tmp_path: Path) -> None:
    """Of two processes that store only what is new, one does and the other is told; what the first stored stays."""
    writers = start_together('store(sys.argv[1], "x", int(sys.argv[2]), new_only=True)\n', tmp_path)
    errors = [writer.communicate()[1] for writer in writers]
    assert sorted(writer.returncode for writer in writers) == [0, 1], errors
    winner = next(number for number, writer in enumerate(writers) if writer.returncode == 0)
    assert "is stored already" in errors[1 - winner]
    assert version_of(tmp_path) == winner + 1


def test_reader_waits_for_the_writer(tmp_path: Path) -> None:
    """Reading again and again while another process replaces the baseline never meets half of one."""
    writer = start(FOREVER, str(tmp_path))
    assert writer.stdout is not None
    writer.stdout.readline()
    while not (tmp_path / "x").is_dir():
        time.sleep(0.01)
    seen = set()
    while len(seen) < 5:
        seen.add(version_of(tmp_path))
        time.sleep(0.02)
    writer.kill()
    writer.communicate()
