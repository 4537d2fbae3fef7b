"""The error tree teaches."""

from __future__ import annotations

import inspect
import pickle

import pytest

from harness import errors

CLASSES = [entry for _, entry in inspect.getmembers(errors, inspect.isclass) if issubclass(entry, errors.HarnessError)]
LEAVES = [entry for entry in CLASSES if not entry.__subclasses__()]


@pytest.mark.parametrize("kind", CLASSES)
def test_tree_is_drawn_whole(kind: type[errors.HarnessError]) -> None:
    """Every class stands in the drawing of the module's docstring, under its parent's depth."""
    assert errors.__doc__
    line = next(line for line in errors.__doc__.splitlines() if f" {kind.__name__} " in f"{line} ")
    depth = len(kind.__mro__) - len(errors.HarnessError.__mro__)
    assert line.index(kind.__name__) == 4 + 4 * depth


@pytest.mark.parametrize("kind", LEAVES)
def test_leaves_tell_causes_and_fix(kind: type[errors.HarnessError]) -> None:
    """Each concrete error says its common causes and its fix."""
    assert kind.__doc__
    assert "Causes: " in kind.__doc__
    assert "Fix: " in kind.__doc__


def test_message_says_what_was_seen_why_and_what_to_do() -> None:
    """The parts stand in that order, and survive a process boundary."""
    error = errors.DataError("Seen 3.", why="It matters.", fix="Do this.")
    assert str(error) == "Seen 3. It matters. Do this."
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is errors.DataError
    assert (copy.seen, copy.why, copy.fix) == (error.seen, error.why, error.fix)
