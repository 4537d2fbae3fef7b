"""Tables of things that can be chosen by name; each is imported only when it is asked for."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, TypeVar

from harness.errors import NameUnknownError

T = TypeVar("T")


class Registry(Generic[T]):
    """Names and where to find what they stand for.

    Args:
        what: what is registered, for the error message ("task", "method", ...).
        places: name to ``"module:attribute"``.
    """

    def __init__(self, what: str, places: Mapping[str, str]) -> None:
        self._what = what
        self._places = dict(places)

    def __iter__(self) -> Iterator[str]:
        """The names, in their order."""
        return iter(self._places)

    def require(self, name: str) -> None:
        """Make sure that ``name`` is known, without importing anything.

        Raises:
            NameUnknownError: there is no such name.
        """
        if name not in self._places:
            raise unknown_name(self._what, name, self._places)

    def __getitem__(self, name: str) -> T:
        """Import what ``name`` stands for.

        Raises:
            NameUnknownError: there is no such name.
        """
        self.require(name)
        module, _, attribute = self._places[name].partition(":")
        found: T = getattr(importlib.import_module(module), attribute)
        return found


def unknown_name(what: str, name: str, known: Mapping[str, object] | tuple[str, ...]) -> NameUnknownError:
    """The error for a name that is not known, with the closest one that is."""
    suggestion = suggest(name, known) or f"Choose one of: {', '.join(dict.fromkeys(known))}."
    return NameUnknownError(f'There is no {what} "{name}".', fix=suggestion)


def suggest(name: str, known: Iterable[str]) -> str:
    """A question with the known name that is closest; nothing where none is close."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f'Did you mean "{close[0]}"?' if close else ""
