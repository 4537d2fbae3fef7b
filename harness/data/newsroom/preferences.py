"""Preference pairs of the newsroom: a faithful, short summary against one with a known fault."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from harness.data.newsroom.draw import Draw
from harness.data.newsroom.english import BACKGROUNDS
from harness.data.newsroom.events import Event
from harness.data.newsroom.story import write_document, write_summary

Fault = Literal["padded", "who", "where", "when", "amount"]
SWAPPED: tuple[Fault, ...] = ("who", "where", "when", "amount")
"""The facts that a summary tells, each of which may be confused with the distractor's."""


@dataclass(frozen=True, kw_only=True)
class Preference:
    """Two answers to one prompt, and which of them is better.

    Args:
        prompt: the document.
        chosen: its summary.
        rejected: the summary with the fault.
        fault: "padded" with a sentence that says nothing of the event, or the fact that is a distractor's.
    """

    prompt: str
    chosen: str
    rejected: str
    fault: Fault


def write_preferences(event: Event) -> tuple[Preference, ...]:
    """The preference pairs of an event: one for each fault that a summary may have."""
    document, chosen = write_document(event).text, write_summary(event).text
    padded = f"{chosen} {Draw(event.key, 'preference').pick(BACKGROUNDS)}"
    swapped = {
        fault: replace(event, facts=replace(event.facts, **{fault: getattr(event.distractors, fault)}))
        for fault in SWAPPED
    }
    rejected: dict[Fault, str] = {
        "padded": padded,
        **{fault: write_summary(told).text for fault, told in swapped.items()},
    }
    return tuple(
        Preference(prompt=document, chosen=chosen, rejected=text, fault=fault) for fault, text in rejected.items()
    )
