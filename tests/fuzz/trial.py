"""One input tried: its files written, used, and looked at again; what came of it is a word."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.checks.deadline import TimedOut, deadline
from harness.errors import HarnessError
from tests.fuzz.damage import Files, damage

LONGEST = 48
"""Bytes of an input: about ten changes."""
SECONDS = 10.0
"""What takes longer, twice, is a hang."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is fuzzed.

    Args:
        name: what comes from outside.
        seeds: whole inputs to damage; made once.
        use: does with a folder what the harness does with such input.
        mend: makes hashes right again that damage made wrong, as one who forges would.
        damages: whether the bytes damage the files; else they are the input.
        reads_only: whether the input must be left as it was.
    """

    name: str
    seeds: Callable[[], Sequence[Files]]
    use: Callable[[Path, bytes], None]
    mend: Callable[[Files], Files] = dict
    damages: bool = True
    reads_only: bool = True


@dataclass
class Tally:
    """What came of the inputs of a target.

    Args:
        outcomes: "success", or the name of the error with which it was refused, to how often.
        bugs: what was seen, to the first input that showed it.
        seconds: what all of them took.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    bugs: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


class Trial:
    """Tries inputs of a target, one after the other.

    Args:
        target: what is fuzzed.
    """

    def __init__(self, target: Target) -> None:
        self.target, self.tally = target, Tally()
        self._seeds = target.seeds()

    def __call__(self, data: bytes) -> None:
        """Try one: the first byte chooses a seed, the others damage it."""
        seed = self._seeds[data[0] % len(self._seeds)] if data else self._seeds[0]
        files = self.target.mend(damage(seed, data[1:])) if self.target.damages else seed
        outcome, took = self._try(files, data)
        if took >= SECONDS:  # on a busy machine anything may take long once
            outcome, took = self._try(files, data)
        if took >= SECONDS:
            self._report(f"hangs: more than {SECONDS:g} s", data)
        self.tally.seconds += took
        self.tally.outcomes[outcome] += 1

    def _try(self, files: Files, data: bytes) -> tuple[str, float]:
        """What came of it, and after how many seconds."""
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
            # A command line may name the folder above, where it then writes.
            folder = Path(place, *"deep")
            folder.mkdir(parents=True)
            write(files, folder)
            before = hash_folder(folder)
            outcome = self._use(folder, data)
            if self.target.reads_only and hash_folder(folder) != before:
                self._report("the input was changed", data)
        return outcome, time.monotonic() - began

    def _use(self, folder: Path, data: bytes) -> str:
        silent = io.StringIO()
        here = Path.cwd()
        os.chdir(folder)
        try:
            with (
                deadline(SECONDS),
                warnings.catch_warnings(),
                contextlib.redirect_stdout(silent),
                contextlib.redirect_stderr(silent),
            ):
                warnings.simplefilter("ignore")
                self.target.use(folder, data)
        except HarnessError as error:
            return type(error).__name__
        except TimedOut:
            return "hang"
        except Exception as error:  # noqa: BLE001 - each is a find
            last = traceback.extract_tb(error.__traceback__)[-1]
            self._report(f"{type(error).__name__} in {Path(last.filename).name}:{last.name}: {error!s:.200}", data)
            return "bug"
        finally:
            os.chdir(here)
        return "success"

    def _report(self, seen: str, data: bytes) -> None:
        kind = seen.partition(": ")[0]
        if not any(known.startswith(kind) for known in self.tally.bugs):
            self.tally.bugs[seen] = data.hex()


def write(files: Files, folder: Path) -> None:
    """Write files into a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.mkdir()
        else:
            path.write_bytes(content)


def read(folder: Path) -> Files:
    """The files of a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def hash_folder(folder: Path) -> str:
    """SHA-256 of all names and contents."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        digest.update(f"{path.relative_to(folder)}\0{path.is_dir()}\0".encode("utf-8", "surrogateescape"))
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()
