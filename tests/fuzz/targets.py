"""All that is fuzzed."""

from __future__ import annotations

from tests.fuzz.commands import COMMAND_LINES
from tests.fuzz.models import MODELS
from tests.fuzz.texts import TEXTS
from tests.fuzz.trial import Target

TARGETS: tuple[Target, ...] = (*TEXTS, *MODELS, COMMAND_LINES)


def find_target(name: str) -> Target:
    """The target of that name."""
    return next(target for target in TARGETS if target.name == name)
