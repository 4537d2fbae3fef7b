"""Folders that appear whole or not at all, and locks around them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from harness.errors import UsageError

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
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror}.", fix="Choose another folder.") from error
    finally:
        recover(folder)


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
        UsageError: the place cannot be written, or another process has it and nobody waits.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK_FILE)
        lock.acquire(blocking=wait)
    except Timeout:
        raise UsageError(
            f"Another process is at work in {folder}.", fix="Wait until it has ended, or choose another folder."
        ) from None
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror}.", fix="Choose another folder.") from error
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


def _beside(folder: Path, state: str) -> Path:
    return folder.with_name(f".{folder.name}.{state}")
