"""The HTML templates, filled in so that no text of a model or of data becomes markup."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import jinja2

from harness.comparison import Outcome
from harness.gate import Status
from harness.printable import printable
from harness.report.differences import shorten
from harness.report.wording import MARKS

if TYPE_CHECKING:
    from harness.report.facts import Facts

GOOD = {Outcome.IMPROVED, Status.HOLDS, "passed"}
DOUBT = {Outcome.NO_CHANGE, Outcome.INCONCLUSIVE, Status.UNDECIDED, "skipped", "expected failure"}


def fill(template: str, values: dict[str, object]) -> str:
    """Fill in a template; every value is escaped, and a name that is missing is an error."""
    return _environment().get_template(template).render(values)


def tone(word: str) -> str:
    """The colour of an outcome or a status."""
    if word in GOOD:
        return "good"
    return "doubt" if word in DOUBT else "bad"


def sign(word: str) -> str:
    """The sign before a status, for those who see no colours."""
    return MARKS.get(word) or {"good": "✓", "doubt": "?", "bad": "✗"}[tone(word)]


def gate_tone(facts: Facts) -> str:
    """The colour of a run: good where every requirement holds, doubt where some are undecided and none worse."""
    tones = {tone(found["status"]) for found in facts["requirements"]}
    if facts["passed"]:
        return "good"
    return "bad" if "bad" in tones or facts["outcome"] == Outcome.IDENTICAL else "doubt"


def _spell_out(value: object) -> object:
    """Plain texts without what would reorder a line; charts and macros are markup of our own."""
    return printable(value) if type(value) is str else value


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("harness.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_spell_out,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(tone=tone, sign=sign, gate_tone=gate_tone, shorten=shorten)
    return environment
