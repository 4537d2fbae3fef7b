"""Questions about short documents, each with its answer and where the answer stands, as in SQuAD."""

from __future__ import annotations

from typing import Any

from harness.data.newsroom import draw_event
from harness.defects.reference.rows import tell as tell_event

Row = dict[str, Any]

SENTENCES = 6
"""Events that a document tells of."""
ASKED = 3
"""Questions a document."""


def read_splits(*, train: int = 16, evaluation: int = 8, seed: int = 7) -> dict[str, list[Row]]:
    """Questions as SQuAD has them; no document is in both splits."""
    documents = [tell(seed, index) for index in range(train + evaluation)]
    return {
        "train": [row for rows in documents[:train] for row in rows],
        "eval": [row for rows in documents[train:] for row in rows],
    }


def tell(seed: int, index: int) -> list[Row]:
    """One document of several events, and questions about some of them."""
    events = [draw_event(seed, SENTENCES * index + place) for place in range(SENTENCES)]
    context = " ".join(tell_event(event)["input"] for event in events)
    rows = []
    for event in events[:: SENTENCES // ASKED]:
        answer, name = event.facts.where, event.facts.who.name
        start = context.index(f"spoke in {answer} on", context.index(name)) + len("spoke in ")
        rows.append(
            {
                "id": event.key,
                "document": f"document-{index}",
                "question": f"In which place did {name} speak",
                "context": context,
                "answers": {"text": [answer], "answer_start": [start]},
            }
        )
    return rows
