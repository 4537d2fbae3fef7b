"""What must hold, written as sentences.

===============================================================================  =======================
``tuned must beat base on METRIC [by at least POINTS]``                           the tuning worked
``no metric may regress against the stored baseline [by more than POINTS]``       it still works as well
``base must not drift [by more than POINTS]``                                     the ground did not move
``every check must pass``                                                         the pipeline is sound
``speed may not fall under SHARE of the reference [measured in the same session]``  it is still as fast
===============================================================================  =======================

Points are percent points; of a metric that knows none, as a perplexity, they are percents of what it is compared with.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from harness.errors import SettingsError
from harness.registry import suggest

Kind = Literal["beat", "no-regression", "no-drift", "checks", "speed"]

_POINTS = r"(?P<points>\d+(?:\.\d+)?)(?: points?)?"
_FORMS: dict[Kind, str] = {
    "beat": rf"tuned must beat base on (?P<metric>\w+)(?: by at least {_POINTS})?",
    "no-regression": rf"no metric may regress against the stored baseline(?: by more than {_POINTS})?",
    "no-drift": rf"base must not drift(?: by more than {_POINTS})?",
    "checks": r"every check must pass",
    "speed": r"speed may not fall under (?P<share>\d+(?:\.\d+)?) of the reference(?: measured in the same session)?",
}
EXAMPLES = (
    "tuned must beat base on rouge1 by at least 5",
    "no metric may regress against the stored baseline by more than 5",
    "base must not drift by more than 1",
    "every check must pass",
    "speed may not fall under 0.8 of the reference measured in the same session",
)


class Status(StrEnum):
    """What became of a requirement."""

    HOLDS = "holds"
    FAILS = "fails"
    NO_CHANGE = "no change"
    """A gain was required, and any that matters is excluded."""
    UNDECIDED = "undecided"
    NOT_COMPARABLE = "not comparable"
    IDENTICAL = "identical"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A requirement, what became of it, and why."""

    sentence: str
    status: Status
    reason: str


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """One sentence and what it means.

    Args:
        sentence: as it was written.
        kind: which form it has.
        metric: the metric it speaks of; nothing for all.
        points: the difference it allows or asks for, in the metric's unit.
        share: the share of the reference's speed that it asks for.
    """

    sentence: str
    kind: Kind
    metric: str | None
    points: float = 0.0
    share: float = 0.0


def parse_requirement(sentence: str, metrics: tuple[str, ...]) -> Requirement:
    """Understand a sentence.

    Args:
        sentence: one of the forms above.
        metrics: the metrics that the experiment computes.

    Raises:
        SettingsError: the sentence has none of the forms, or names a metric that is not computed.

    Example:
        >>> found = parse_requirement("tuned must beat base on rouge1 by at least 5", ("rouge1",))
        >>> found.kind, found.metric, found.points
        ('beat', 'rouge1', 5.0)
    """
    words = " ".join(sentence.split()).rstrip(".")
    for kind, form in _FORMS.items():
        match = re.fullmatch(form, words, re.IGNORECASE)
        if match is None:
            continue
        found = match.groupdict()
        metric = found.get("metric")
        if metric is not None and metric not in metrics:
            raise SettingsError(
                f'gate.require: "{sentence}" names the metric "{metric}".',
                fix=f"{suggest(metric, metrics)} Computed are: {', '.join(metrics)}.".lstrip(),
            )
        points, share = (float(found.get(name) or 0) for name in ("points", "share"))
        return Requirement(sentence=words, kind=kind, metric=metric, points=points, share=share)
    closest = difflib.get_close_matches(words, EXAMPLES, n=1, cutoff=0.0)[0]
    raise SettingsError(
        f'gate.require: "{sentence}" is not understood.', fix=f'Did you mean a sentence like "{closest}"?'
    )
