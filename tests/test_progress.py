"""Pieces of a run that has not ended: whole or not there, and never believed where a bit is wrong."""

from __future__ import annotations

import math
import shutil
from contextlib import suppress
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from harness.atomic import locked, write_whole
from harness.baselines.store import BENCHMARKS
from harness.benchmark.page import write_page
from harness.defects import checks_page
from harness.errors import SettingsError, UsageError
from harness.metrics.metric import Output
from harness.outputs import PART, predict_in_parts
from harness.progress import NOTHING, PIECE_FILE, Pace, Progress, Unfinished, find_fault, say_age
from harness.sweeps.store import Store

FILES = st.dictionaries(st.sampled_from(["a.json", "b.safetensors", "deep/c"]), st.binary(max_size=40), min_size=1)


def keep(progress: Progress, name: str, files: dict[str, bytes]) -> None:
    def write(fresh: Path) -> None:
        for file, content in files.items():
            (fresh / file).parent.mkdir(exist_ok=True)
            (fresh / file).write_bytes(content)

    progress.keep(name, write)


def make(folder: Path, said: list[str] | None = None, every: float = 0.0) -> Progress:
    return Progress(folder=folder, say=(said if said is not None else []).append, pace=Pace(every))


@given(files=FILES)
def test_piece_is_found_as_it_was_kept(files: dict[str, bytes]) -> None:
    """Every file is there with its content, and the age is said; a part of the run does not see another's."""
    with TemporaryDirectory() as folder:
        progress = make(Path(folder))
        keep(progress.inside("seed-1"), "x", files)
        place = progress.inside("seed-1").find("x")
        assert place is not None
        assert {name: (place / name).read_bytes() for name in files} == files
        assert say_age(place) == "kept 0 s ago"
        assert progress.find("x") is progress.inside("seed-2").find("x") is None


@given(files=FILES, data=st.data())
def test_any_change_is_seen(files: dict[str, bytes], data: st.DataObject) -> None:
    """One bit turned, a file cut short, gone or added, in the seal as well: the piece is named once and left out."""
    said: list[str] = []
    with TemporaryDirectory() as folder:
        progress = make(Path(folder), said)
        keep(progress, "x", files)
        place = Path(folder) / "x"
        path = place / data.draw(st.sampled_from([*files, PIECE_FILE]))
        content = bytearray(path.read_bytes())
        change = data.draw(st.sampled_from(["bit", "cut", "gone", "added"]))
        if change == "gone":
            path.unlink()
        elif change == "added" or not content:
            (place / "other").write_bytes(b"")
        elif change == "cut":
            path.write_bytes(content[:-1] if path.name != PIECE_FILE else content[: len(content) // 2])
        else:
            # In the seal only what is written there counts, and not the blanks between.
            spot = data.draw(st.sampled_from([n for n, byte in enumerate(content) if byte not in b" \n"] or [0]))
            content[spot] ^= 1
            path.write_bytes(content)
        assert find_fault(place) is not None
        assert progress.find("x") is None
        assert progress.find("x") is None
        assert len(said) == 1
        assert "is damaged" in said[0]


def test_what_fails_while_it_is_written_is_not_there(tmp_path: Path) -> None:
    """A piece whose writing fails leaves the one before, and no half of itself."""
    progress = make(tmp_path)
    keep(progress, "x", {"a": b"old"})

    def fail(fresh: Path) -> None:
        (fresh / "a").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(UsageError, match=r"No space left on device.*Make room on that disk"):
        progress.keep("x", fail)
    place = progress.find("x")
    assert place is not None
    assert (place / "a").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_keeping_takes_a_small_share_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What took 10 s is due again 200 s later, what took none after the 60 that were asked for."""
    now = [0.0]
    monkeypatch.setattr("harness.progress.time.monotonic", lambda: now[0])
    pace = Pace(60)
    now[0] = 59.0
    assert not pace.due
    now[0] = 60.0
    assert pace.due
    with pace.taken():
        now[0] = 70.0
    now[0] = 269.0
    assert not pace.due
    now[0] = 270.0
    assert pace.due
    with pace.taken():
        pass
    now[0] = 330.0
    assert pace.due


def test_value_is_made_once(tmp_path: Path) -> None:
    """A value that was kept is not made again, and without a folder it is each time."""
    numbers = count()
    assert [make(tmp_path).remember("n", lambda: next(numbers)) for _ in range(3)] == [0, 0, 0]
    assert [NOTHING.remember("n", lambda: next(numbers)) for _ in range(2)] == [1, 2]


@pytest.mark.parametrize("killed", [0, 1, 2])
def test_outputs_go_on_behind_the_last_whole_part(tmp_path: Path, killed: int) -> None:
    """Killed before a part: each row is asked exactly once all in all, and NaN and odd texts come back as they were."""
    rows = list(range(2 * PART + 1))
    wanted = [Output(text=f"\ud800 {n}\n", nats=n / 3 if n % 2 else math.nan, tokens=n) for n in rows]
    asked: list[int] = []
    alive = [False]

    def predict(part: list[int], ids: list[int]) -> list[Output]:
        assert part == ids
        if len(asked) == killed * PART and not alive[0]:
            raise KeyboardInterrupt
        asked.extend(part)
        return [wanted[number] for number in part]

    with pytest.raises(KeyboardInterrupt):
        predict_in_parts(predict, rows, rows, make(tmp_path))  # type: ignore[arg-type]
    alive[0] = True
    said: list[str] = []
    made = predict_in_parts(predict, rows, rows, make(tmp_path, said))  # type: ignore[arg-type]
    assert repr(list(made)) == repr(wanted)
    assert asked == rows
    assert said == [f"outputs of {killed * PART} of {len(rows)} rows are there (kept 0 s ago)"] * bool(killed)


def test_a_second_process_keeps_nothing(tmp_path: Path) -> None:
    """Who comes second to the same run is told, keeps nothing, and takes nothing away."""
    said: list[str] = []
    with locked(tmp_path / "key"), Unfinished(tmp_path) as second:
        assert second.open("key", said.append) is NOTHING
        second.forget()
    assert "another process" in said[0]
    assert (tmp_path / "key").is_dir()


def test_who_opens_a_run_waits_for_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the other process comes in that very moment: the lock is asked for once, and not waited for."""
    waits: list[bool] = []
    acquire = FileLock.acquire

    def watch(self: FileLock, *, blocking: bool = True) -> object:
        waits.append(blocking)
        return acquire(self, blocking=blocking)

    monkeypatch.setattr(FileLock, "acquire", watch)
    for _ in range(2):
        with Unfinished(tmp_path) as one:
            assert one.open("key", print) is not NOTHING
    assert waits == [False, False]


def test_forgotten_is_gone_and_fresh_is_empty(tmp_path: Path) -> None:
    """Behind ``forget`` nothing is left of the run; with ``fresh`` nothing of before is found."""
    with Unfinished(tmp_path / "u") as first:
        keep(first.open("key", print), "x", {"a": b"1"})
    with Unfinished(tmp_path / "u") as again:
        assert again.open("key", print).find("x") is not None
    with Unfinished(tmp_path / "u", fresh=True) as fresh:
        assert fresh.open("key", print).find("x") is None
        fresh.forget()
    assert not (tmp_path / "u").exists()


@pytest.mark.parametrize(
    ("kept", "error", "stays"),
    [(0, OSError("full"), 0), (1, OSError("full"), 1), (1, SettingsError("no", fix="yes"), 0)],
)
def test_run_that_could_not_go_on_leaves_nothing(tmp_path: Path, kept: int, error: Exception, stays: int) -> None:
    """Before its first piece, or where the same command would be refused again, a failed run leaves no folder."""
    unfinished, said = Unfinished(tmp_path / "name" / "u"), list[str]()
    with suppress(type(error)), unfinished:
        progress = unfinished.open("key", said.append)
        if kept:
            keep(progress, "x", {"a": b"1"})
        raise error
    assert (tmp_path / "name").exists() is bool(stays)
    assert said == ["what was done is kept: the same command goes on from there"] * stays


def test_several_processes_share_no_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under torchrun nothing is kept, and that is said: the processes would not agree on the moment."""
    said: list[str] = []
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with Unfinished(tmp_path / "u") as shared:
        assert shared.open("key", said.append) is NOTHING
    assert "it keeps nothing" in said[0]


def test_file_is_whole_or_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be put in place leaves the old one, and no other."""
    path = tmp_path / "page.md"
    write_whole(path, b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(UsageError, match=r"page\.md cannot be written"):
        write_whole(path, b"new")
    assert [entry.read_bytes() for entry in tmp_path.iterdir()] == [b"old"]


def test_pages_and_reports_are_whole_or_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every program that writes over a page of before leaves that where the new one cannot be put in place."""
    pages = {name: tmp_path / name / "page.md" for name in ("checks", "bench", "sweep")}
    for page in pages.values():
        page.parent.mkdir()
        page.write_bytes(b"old")
    (pages["checks"].parent / "defects").mkdir()
    (pages["checks"].parent / "defects" / "caught.json").write_text("{}", encoding="utf-8")
    for stored in (Path(__file__).parents[1] / "baselines" / BENCHMARKS).glob("*.json"):
        (tmp_path / BENCHMARKS).mkdir(exist_ok=True)
        shutil.copy(stored, tmp_path / BENCHMARKS)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    for write in (
        lambda: checks_page.main([str(pages["checks"])]),
        lambda: write_page(tmp_path, pages["bench"]),
        lambda: Store(pages["sweep"].parent).write_whole("page.md", "new"),
    ):
        with pytest.raises(UsageError, match=r"page\.md cannot be written: No space left on device"):
            write()
    assert {page.read_bytes() for page in pages.values()} == {b"old"}
    assert not [*tmp_path.rglob("*.new")]
