"""A long sequence on disk: what grows with the rows, and is read in order, need not fill the memory."""

from __future__ import annotations

import os
import pickle
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar, overload

PART = 4096
"""Items that are worked on at a time."""
IN_MEMORY = 1 << 20
"""Bytes up to which there is no file."""
T = TypeVar("T")
S = TypeVar("S")


class _Store(tempfile.SpooledTemporaryFile[bytes]):
    """A temporary file that goes with the last who refers to it."""

    def __del__(self) -> None:
        self.close()


class Spool(Sequence[T], Generic[T]):
    """Items in a temporary file, read back one by one; of each 12 bytes stay in memory, and all of them while few.

    It equals a tuple or list of equal items. What is read twice is two equal objects, so to change one changes nothing.
    A slice, or what `take` gives, reads from the same file, which is gone with the last of them.

    Args:
        items: what to keep; `append` adds to it.
    """

    def __init__(self, items: Iterable[T] = ()) -> None:
        # Nothing is read ahead: items that were drawn lie anywhere in the file.
        self._file = _Store(max_size=IN_MEMORY, buffering=0)
        self._places, self._sizes = array("q"), array("I")
        for item in items:
            self.append(item)

    def append(self, item: T) -> None:
        """Add an item behind the last."""
        data = pickle.dumps(item, pickle.HIGHEST_PROTOCOL)
        self._places.append(self._file.seek(0, os.SEEK_END))
        self._sizes.append(self._file.write(data))

    def take(self, order: Iterable[int]) -> Spool[T]:
        """The items at these places, in this order."""
        order = array("q", order)
        return self._view(
            array("q", (self._places[place] for place in order)), array("I", (self._sizes[place] for place in order))
        )

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> Spool[T]: ...
    def __getitem__(self, place: int | slice) -> T | Spool[T]:
        if isinstance(place, slice):
            return self._view(self._places[place], self._sizes[place])
        self._file.seek(self._places[place])
        item: T = pickle.loads(self._file.read(self._sizes[place]))  # noqa: S301 - only this process writes the file
        return item

    def __iter__(self) -> Iterator[T]:
        return map(self.__getitem__, range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(one == another for one, another in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # as that of a list

    def __repr__(self) -> str:
        return f"<{len(self):,} items on disk>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Spool, (list(self),)

    def _view(self, places: array[int], sizes: array[int]) -> Spool[T]:
        view: Spool[T] = Spool.__new__(Spool)
        view._file, view._places, view._sizes = self._file, places, sizes
        return view


def in_parts(work: Callable[..., Iterable[S]], *sequences: Sequence[Any], part: int = PART) -> Spool[S]:
    """What ``work`` makes of sequences of equal length, a part at a time, in order.

    Args:
        work: from a part of each sequence, as lists, to what becomes of it.
        sequences: what it works on.
        part: items that are in memory at a time.
    """
    made: Spool[S] = Spool()
    for start in range(0, len(sequences[0]), part):
        for item in work(*(list(sequence[start : start + part]) for sequence in sequences)):
            made.append(item)
    return made
