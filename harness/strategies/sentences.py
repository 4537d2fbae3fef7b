"""What must hold of a run over several tasks, written as sentences.

===================================================================  ==========================================
``average score must beat base [by at least POINTS]``                the tasks were learned, taken together
``average score at least POINTS``                                    they are known so well in the end
``backward transfer at least POINTS``                                later tasks did not harm earlier ones
``forward transfer at least POINTS``                                 earlier tasks helped later ones
``forgetting at most POINTS``                                        little was lost of the best
``no task may forget more than POINTS``                              nor of any single task
``no task may lose more than POINTS against its single-task model``  one model does as well as one for each task
===================================================================  ==========================================

A number may be below 0, as in "backward transfer at least -2 points".
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Literal

from harness.errors import SettingsError
from harness.multitask import Multitask

Kind = Literal["gain", "at-least", "at-most", "forget", "single"]

_POINTS = r"(?P<points>-?\d+(?:\.\d+)?)(?: points?)?"
_FORMS: dict[Kind, str] = {
    "gain": rf"average score must beat base(?: by at least {_POINTS})?",
    "at-least": rf"(?P<measure>average score|backward transfer|forward transfer) at least {_POINTS}",
    "at-most": rf"(?P<measure>forgetting) at most {_POINTS}",
    "forget": rf"no task may forget more than {_POINTS}",
    "single": rf"no task may lose more than {_POINTS} against its single-task model",
}
EXAMPLES = (
    "average score must beat base by at least 10 points",
    "average score at least 50 points",
    "backward transfer at least -2 points",
    "forward transfer at least 0 points",
    "forgetting at most 2 points",
    "no task may forget more than 2 points",
    "no task may lose more than 2 points against its single-task model",
)
DEFAULT = ("average score must beat base",)
"""What must hold where nothing else is said."""


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """One sentence and what it means.

    Args:
        text: as it was written.
        kind: which form it has.
        measure: the measure it speaks of; nothing where it speaks of each task.
        points: the bound.
    """

    text: str
    kind: Kind
    measure: str | None
    points: float


def parse_sentences(multitask: Multitask) -> tuple[Sentence, ...]:
    """Understand what must hold.

    Raises:
        SettingsError: a sentence has none of the forms.
    """
    return tuple(parse_sentence(text) for text in multitask.gate.require or DEFAULT)


def parse_sentence(text: str) -> Sentence:
    """Understand one sentence.

    Raises:
        SettingsError: it has none of the forms.
    """
    words = " ".join(text.split()).rstrip(".")
    for kind, form in _FORMS.items():
        if match := re.fullmatch(form, words, re.IGNORECASE):
            found = match.groupdict()
            measure = "average gain" if kind == "gain" else found.get("measure")
            return Sentence(
                text=words, kind=kind, measure=measure and measure.lower(), points=float(found["points"] or 0)
            )
    closest = difflib.get_close_matches(words, EXAMPLES, n=1, cutoff=0.0)[0]
    raise SettingsError(
        f'gate.require: "{text}" is not understood of several tasks.', fix=f'Did you mean a sentence like "{closest}"?'
    )
