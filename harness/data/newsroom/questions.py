"""From an event to a question about its document, with every place that answers it, or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.data.newsroom.asking import ASKINGS, UNTOLD, WHEN, WHEN_BY_NOUN, WHERE, WHO
from harness.data.newsroom.draw import Draw
from harness.data.newsroom.events import KINDS, Event, Kind
from harness.data.newsroom.story import Mention, Story, fill_template, list_fields, write_document

ASKED = ("who", "org", "where", "when", "amount")
"""The facts that a question can ask for."""
UNANSWERABLE = 1 / 6
"""The share of questions that the document does not answer."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question about a document.

    Args:
        text: the question.
        fact: the fact that is asked for.
        document: what is asked about.
        answers: every place of the document that answers the question; none if it has no answer there.
    """

    text: str
    fact: str
    document: Story
    answers: tuple[Mention, ...]

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """Start and end of each answer in the document's text, in characters."""
        return tuple((mention.start, mention.end) for mention in self.answers)

    @property
    def references(self) -> tuple[str, ...]:
        """The words of each answer."""
        return tuple(self.document.text[start:end] for start, end in self.spans)


def write_question(event: Event) -> Question:
    """Ask for one fact of the event's document; about one question in six has no answer there.

    Those without an answer ask about an event of another topic, about something that the distractor's person did not
    do, or about something that no document tells.
    """
    draw = Draw(event.key, "question")
    fact, document, fields = draw.pick(ASKED), write_document(event), list_fields(event)
    if not draw.chance(UNANSWERABLE):
        answers = tuple(mention for mention in document.mentions if mention.fact == fact)
        template = draw.pick(list_questions(event.kind, fact))
    else:
        answers = ()
        reason = draw.pick(("other topic", "other person", "untold"))
        if reason == "other topic":
            kind = draw.pick([kind for kind in KINDS if kind.topic != event.kind.topic])
            template = draw.pick(_name_event(kind, fact))
        elif reason == "other person":
            fact = draw.pick(("where", "when"))
            template = draw.pick([_ask(form, event.kind) for form in (WHERE if fact == "where" else WHEN)])
            fields["who"] = fields["other_who"]
        else:
            template = draw.pick(UNTOLD[fact])
    return Question(text=fill_template(template, fields).text, fact=fact, document=document, answers=answers)


def list_questions(kind: Kind, fact: str) -> Sequence[str]:
    """The templates of all questions for a fact that a document of this kind answers."""
    return (*_name_event(kind, fact), *(WHEN_BY_NOUN if fact == "when" else ()))


def _name_event(kind: Kind, fact: str) -> Sequence[str]:
    """Those that name the kind of event, so that a document of another topic does not answer them."""
    asking = ASKINGS[kind.key]
    match fact:
        case "who":
            return [_ask(form, kind) for form in WHO]
        case "where":
            return [*(_ask(form, kind) for form in WHERE), asking.place]
        case "when":
            return [_ask(form, kind) for form in WHEN]
        case "amount":
            return asking.amounts
        case _:
            return asking.orgs


def _ask(form: str, kind: Kind) -> str:
    asking = ASKINGS[kind.key]
    return form.replace("{acted}", asking.acted).replace("{asked}", asking.asked)
