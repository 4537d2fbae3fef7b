"""What a run that has not ended has done already, in whole pieces on disk: a kill costs no more than the piece at hand.

::

    FOLDER/KEY/piece.json                                 (each piece has one: the hashes of its files)
    FOLDER/KEY/base-WEIGHTS/arm/, rows-0/, rows-1024/      the base's arm; until it is whole, its outputs by part
    FOLDER/KEY/seed-42/training-1/step-40/, trained/      checkpoints of a training; then its weights
    FOLDER/KEY/seed-42/tuned-WEIGHTS/arm/                 the tuned arm
    FOLDER/KEY/TASK/base-WEIGHTS/...                      where one model learns several tasks, of each the same
    FOLDER/KEY/STRATEGY/seed-42/stage-1/...               and of each stage: training-1/, TASK/tuned-WEIGHTS/

A piece is a folder. It appears whole or not at all, and one whose files do not match their hashes is not used: the run
goes on from what is whole, and says so. The key is a hash of all that decides how the pieces come out, so with anything
changed it is another run, which finds no piece of this one.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from harness import processes
from harness.atomic import locked, recover, whole_folder
from harness.errors import BusyError, DataError, ModelError, SettingsError, UnfitError
from harness.fingerprint import hash_file, hash_json
from harness.places import place_inside

UNFINISHED = "unfinished"
"""The folder beside the runs of an experiment where those are kept that have not ended."""
PIECE_FILE, VALUE_FILE = "piece.json", "value.json"
EVERY = 60.0
"""Seconds between two checkpoints, at least."""
SHARE = 0.05
"""The share of the time that keeping may take, at most."""
SCRATCH = ".harness-"
"""How the names of folders begin that are of no use once their process is gone."""


class Pace:
    """When something that grows should be kept: not too often, and never for more than a small share of the time.

    Args:
        every: seconds between two times, at least; with 0 it is always time.
    """

    def __init__(self, every: float) -> None:
        self._every = every
        self._wait = every
        self._last = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether it is time."""
        return time.monotonic() - self._last >= self._wait

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Keep something in the block; the longer it takes, the longer is the wait for the next time."""
        began = time.monotonic()
        yield
        self._last = time.monotonic()
        if self._every:
            self._wait = max(self._every, (self._last - began) / SHARE)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The pieces of one part of a run.

    Args:
        folder: where they are; nothing where nothing is kept.
        say: is told what was found.
        pace: when to keep what grows.
    """

    folder: Path | None = None
    say: Callable[[str], None] = lambda _: None
    pace: Pace = field(default_factory=lambda: Pace(EVERY))
    _begun: Counter[str] = field(default_factory=Counter, repr=False)

    def inside(self, name: str) -> Progress:
        """The pieces of a part of this part."""
        return replace(self, folder=self.folder and self.folder / name, _begun=Counter())

    def begin(self, what: str) -> Progress:
        """The pieces of the first, second, ... work of a kind; the same run begins them in the same order."""
        self._begun[what] += 1
        return self.inside(f"{what}-{self._begun[what]}")

    def called(self, what: str) -> Progress:
        """The same pieces; each line of what is found says first what they are of."""
        return replace(self, say=lambda line: self.say(f"{what}, {line}"))

    @property
    def due(self) -> bool:
        """Whether it is time to keep what grows; never where nothing is kept."""
        return self.folder is not None and self.pace.due

    def keep(self, name: str, write: Callable[[Path], None]) -> None:
        """Keep a piece; where nothing is kept, nothing is written.

        Args:
            name: the piece's.
            write: writes its files into a new folder.

        Raises:
            UsageError: it cannot be written.
        """
        if self.folder is None:
            return
        with self.pace.taken(), whole_folder(self.folder / name) as fresh:
            write(fresh)
            seal(fresh)

    def find(self, name: str) -> Path | None:
        """The folder of a piece; nothing where there is none, or none that is whole."""
        if self.folder is None:
            return None
        place = self.folder / name
        recover(place)
        if not place.is_dir():
            return None
        if (fault := find_fault(place)) is None:
            return place
        self.say(f"{place} is damaged ({fault}): it is left out")
        shutil.rmtree(place)
        return None

    def remember(self, name: str, make: Callable[[], Any]) -> Any:
        """A JSON value that was kept under a name, or else is made now and kept."""
        if (place := self.find(name)) is not None:
            return json.loads((place / VALUE_FILE).read_text(encoding="utf-8"))
        value = make()
        self.keep(name, lambda fresh: _write_json(fresh / VALUE_FILE, value))
        return value

    def numbered(self, prefix: str) -> list[int]:
        """The numbers behind a prefix that pieces have, lowest first; whether they are whole nobody has looked yet."""
        found = () if self.folder is None else self.folder.glob(f"{prefix}*")
        numbers = (path.name.removeprefix(prefix) for path in found)
        return sorted(int(number) for number in numbers if number.isdecimal())

    def drop(self, name: str) -> None:
        """Take away a piece that is of no more use."""
        if self.folder is not None:
            shutil.rmtree(self.folder / name, ignore_errors=True)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder that is gone behind the block, on the same disk as the pieces where there are some."""
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=SCRATCH) as folder:
            yield Path(folder)


NOTHING = Progress()
"""Keeps nothing."""


class Unfinished:
    """The runs in a folder that have not ended; a context that one run has to itself.

    Args:
        folder: where they are.
        every: seconds between two checkpoints, at least; 0: after every step.
        fresh: whether to begin anew.
    """

    def __init__(self, folder: Path, *, every: float = EVERY, fresh: bool = False) -> None:
        self._folder, self._every, self._fresh = folder, every, fresh
        self._place: Path | None = None
        self._say: Callable[[str], None] = lambda _: None
        self._held = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *failure: object) -> None:
        # What was refused would be refused again.
        refused = kind is not None and issubclass(kind, SettingsError | DataError | ModelError | UnfitError)
        if self._place is not None and (refused or not any(self._place.rglob(PIECE_FILE))):
            self.forget()
        if self._place is not None and kind is not None:
            self._say("what was done is kept: the same command goes on from there")
        self._held.close()

    def open(self, key: str | None, say: Callable[[str], None]) -> Progress:
        """The pieces of the run with this key; nothing is kept where another process is at work on the same.

        Args:
            key: a hash of all that decides how the pieces come out; nothing where that is not known.
            say: is told what was found.

        Raises:
            UsageError: nothing can be written there, or a link leads elsewhere.
        """
        if key is None:
            say(
                "this run keeps nothing, and would begin anew: its method or its reward is no function of a file, and "
                "another one would look the same; write it with def at the top of a module"
            )
            return NOTHING
        place = place_inside(self._folder, key, "an unfinished run")
        if processes.count() > 1:
            say("several processes share this run: it keeps nothing, and would begin anew")
            return NOTHING
        try:
            self._held.enter_context(locked(place, wait=False))
        except BusyError:
            say(f"another process is at this very run: it keeps what it has done in {place}, this one keeps nothing")
            return NOTHING
        self._place, self._say = place, say
        if self._fresh:
            _empty(place)
        for left in place.rglob(f"{SCRATCH}*"):
            shutil.rmtree(left, ignore_errors=True)
        return Progress(folder=place, say=say, pace=Pace(self._every))

    def forget(self) -> None:
        """Take away what was kept: the run has ended, and the next one begins anew; of empty folders none stays."""
        if self._place is not None:
            shutil.rmtree(self._place, ignore_errors=True)
            self._place = None
        for folder in (self._folder, self._folder.parent):
            try:
                folder.rmdir()
            except OSError:  # others have not ended, or runs stand there
                return


def seal(place: Path) -> None:
    """Write down the hash of each file of a folder, as the last of them."""
    content: dict[str, object] = {"files": _hash_files(place), "kept": time.time()}
    _write_json(place / PIECE_FILE, {**content, "sha256": hash_json(content)})


def find_fault(place: Path) -> str | None:
    """What is wrong with a sealed folder, in a few words."""
    try:
        content = json.loads((place / PIECE_FILE).read_text(encoding="utf-8"))
        intact = content.pop("sha256") == hash_json(content)
        known, found = content["files"], _hash_files(place)
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        return f"{PIECE_FILE}: {type(error).__name__}"
    if not intact:
        return f"{PIECE_FILE} does not match its own hash"
    wrong = sorted(name for name in known.keys() | found.keys() if known.get(name) != found.get(name))
    return f"{wrong[0]} does not match its hash" if wrong else None


def say_age(place: Path) -> str:
    """How long ago a whole piece was kept, as "kept 12 s ago"; a clock that was set back gives 0."""
    kept = json.loads((place / PIECE_FILE).read_text(encoding="utf-8"))["kept"]
    seconds = max(0.0, time.time() - kept)
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"kept {seconds / size:.0f} {unit} ago"
    return f"kept {seconds:.0f} s ago"


def _hash_files(place: Path) -> dict[str, str]:
    files = sorted(path for path in place.rglob("*") if path.is_file() and path != place / PIECE_FILE)
    return {path.relative_to(place).as_posix(): hash_file(path) for path in files}


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def _empty(place: Path) -> None:
    for path in place.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
