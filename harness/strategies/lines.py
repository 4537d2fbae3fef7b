"""What can be asked for by name: each strategy, and each of its variants, is a line of the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.multitask import Multitask
from harness.registry import unknown_name
from harness.strategies import STRATEGIES


@dataclass(frozen=True, kw_only=True)
class Line:
    """A strategy with some of its settings.

    Args:
        name: what the reports call it.
        strategy: which strategy it is.
        changes: settings of a run over several tasks, by their paths, that make it this variant.
    """

    name: str
    strategy: str
    changes: Mapping[str, object] = field(default_factory=dict)

    def apply(self, multitask: Multitask) -> Multitask:
        """The settings under this strategy.

        Raises:
            SettingsError: they do not fit it.
        """
        return multitask.override({**self.changes, "strategy": self.strategy})


VARIANTS: Mapping[str, tuple[Line, ...]] = {
    "continual": (
        Line(name="replay", strategy="continual", changes={"continual.ewc": 0.0}),
        Line(name="ewc", strategy="continual", changes={"continual.replay": 0}),
        Line(name="replay-ewc", strategy="continual"),
    )
}
"""The strategies that stand for several lines, with these; every other is a line by itself. A line switches off what it
does not have; how much there is of the rest is for the settings to say."""


def list_lines() -> tuple[Line, ...]:
    """All there are, in the order of the reports; the models of one task each come first."""
    return tuple(line for name in STRATEGIES for line in VARIANTS.get(name, (Line(name=name, strategy=name),)))


def choose_line(name: str) -> Line:
    """The line of that name; a strategy with variants can be asked for by its own name, with the settings as they are.

    Raises:
        NameUnknownError: there is none.
    """
    known = {line.name: line for line in list_lines()} | {n: Line(name=n, strategy=n) for n in VARIANTS}
    if name not in known:
        raise unknown_name("strategy", name, known)
    return known[name]
