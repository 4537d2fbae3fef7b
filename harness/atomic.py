"""Folders and files that appear whole or not at all, and locks around them."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from safetensors import SafetensorError

from harness.errors import BusyError, UsageError

LOCK_FILE = ".lock"


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Write into the yielded folder; behind the block it takes the place of ``folder``.

    Where the block fails, what was there stays as it was. A process that is killed between the two renames leaves the
    old folder under another name, where `recover` finds it. Two processes that write the same folder need `locked`.

    Raises:
        UsageError: the place cannot be written.
    """
    fresh, old = _beside(folder, "new"), _beside(folder, "old")
    try:
        recover(folder)
        fresh.mkdir(parents=True)
        yield fresh
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
    except Exception as error:
        if not failed_to_write(error):
            raise
        raise unwritable(folder, error) from error
    finally:
        recover(folder)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that appears whole or not at all; what it replaces stays until then.

    Raises:
        UsageError: it cannot be written.
    """
    fresh = _beside(path, f"{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.unlink(missing_ok=True)
        try:
            with fresh.open("xb") as file:
                file.write(content)
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error


def probe(folder: Path) -> None:
    """Try whether a folder could be written, or made and written; nothing is left.

    Raises:
        OSError: it could not; ``filename`` lies in the nearest folder that is there.
    """
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(place))
    with tempfile.TemporaryDirectory(dir=there, prefix=".harness-"):
        pass


def failed_to_write(error: Exception) -> bool:
    """Whether an error means that a file could not be written; torch and safetensors have errors of their own."""
    return isinstance(error, OSError | SafetensorError) or (
        isinstance(error, RuntimeError) and "inline_container" in str(error)
    )


def unwritable(place: Path, error: Exception) -> UsageError:
    """The error that says that a place cannot be written, why, and what to do about it."""
    full = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
    if isinstance(error, OSError):
        reason, room = error.strerror or str(error), error.errno in full
    else:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        room = "No space left" in reason or _is_full(place)
    return UsageError(
        f"{place} cannot be written: {reason.rstrip('.')}.",
        why="Nothing half-written was left." if room else "",
        fix="Make room on that disk, or choose another folder." if room else "Choose another folder.",
    )


def recover(folder: Path) -> None:
    """Put back what a killed `whole_folder` had set aside, and clear away what it had not finished."""
    fresh, old = _beside(folder, "new"), _beside(folder, "old")
    if old.exists() and not os.path.lexists(folder):
        old.rename(folder)
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def locked(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Keep other processes from writing into ``folder`` during the block; it is made where it is missing.

    Args:
        folder: what is locked.
        wait: whether to wait for another process that has it; it may take as long as a training.

    Raises:
        BusyError: another process has it, and nobody waits.
        UsageError: the place cannot be written, or a link stands where the lock should.
    """
    place = folder / LOCK_FILE
    if place.is_symlink():
        # A lock is a file that may be emptied.
        raise UsageError(f"{place} is a link to {place.readlink()}.", fix="Delete it, if nobody is at work there.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(place)
        lock.acquire(blocking=wait)
    except Timeout:
        raise BusyError(
            f"Another process is at work in {folder}.", fix="Wait until it has ended, or choose another folder."
        ) from None
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def locked_if_shared(folder: Path) -> Iterator[None]:
    """Wait for a writer of ``folder``; where none ever was, or nothing can be written, nothing is locked or left."""
    if (folder / LOCK_FILE).is_file() and os.access(folder / LOCK_FILE, os.W_OK):
        with locked(folder):
            yield
    else:
        yield


def _is_full(place: Path) -> bool:
    """Whether the disk of a place has less room than one small file takes."""
    there = next(path for path in (place, *place.absolute().parents) if path.is_dir())
    return shutil.disk_usage(there).free < 1 << 16


def _beside(folder: Path, state: str) -> Path:
    return folder.with_name(f".{folder.name}.{state}")
