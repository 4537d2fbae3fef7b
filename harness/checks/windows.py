"""Windows over a long context: together they show all of it, and each points at the answer only where it holds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.checks.check import CheckFailed, CheckSkipped, check
from harness.checks.evidence import Evidence, Feature, Row
from harness.checks.supervised import letters

LOOKED_AT = 32
"""Rows whose windows are looked at."""
CONTEXT_COLUMNS = ("context", "passage", "document", "paragraph")
Span = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Windows:
    """The windows of one row.

    Args:
        row: number of the row.
        context: its context.
        answers: its answers; none where it cannot be answered.
        features: one a window.
        offsets: of each window, where each token of the context stands in it; nothing for other tokens.
    """

    row: int
    context: str
    answers: tuple[tuple[str, int], ...]
    features: list[dict[str, Any]]
    offsets: list[list[Span | None]]


@check("I9", "tokenization", needs=("encode", "tokenizer"))
def windows_cover_the_context(evidence: Evidence) -> str:
    """Every word of a context is in one of its windows, and every answer is wholly in one."""
    rows = all_windows(evidence)
    for entry in rows:
        shown = {place for offsets in entry.offsets for span in offsets if span for place in range(*span)}
        missed = [place for place, letter in enumerate(entry.context) if letter.isalnum() and place not in shown]
        if missed:
            _say_skipped(
                f"{len(missed)} of {len(entry.context)} characters of the context of row {entry.row} are in none of "
                f"its {len(entry.features)} windows, from {entry.context[missed[0] : missed[0] + 40]!r} on"
            )
    cut = [
        entry
        for entry in rows
        if entry.answers and not any(_holds(offsets, answer) for offsets in entry.offsets for answer in entry.answers)
    ]
    if cut:
        _say_skipped(
            f"{len(cut)} of {len(rows)} answers are wholly in no window, the first is {cut[0].answers[0][0]!r} of row "
            f"{cut[0].row} with {len(cut[0].features)} windows"
        )
    return f"{sum(len(entry.features) for entry in rows)} windows of {len(rows)} rows"


@check("I11", "labels", needs=("encode", "tokenizer"))
def windows_point_at_their_answers(evidence: Evidence) -> str:
    """A window points at the answer where it holds it, and at the no-answer position where it does not."""
    decode = evidence.part("tokenizer").decode
    pointed = elsewhere = 0
    for entry in all_windows(evidence):
        for feature, offsets in zip(entry.features, entry.offsets, strict=True):
            first, last = _positions(feature)
            holding = [answer for answer in entry.answers if _holds(offsets, answer)]
            inside = 0 <= first <= last < len(offsets) and offsets[first] is not None
            if not inside and not holding:
                elsewhere += 1
                continue
            said = decode(list(feature["input_ids"])[first : last + 1]) if inside else ""
            wanted = [text for text, _ in holding or entry.answers]
            if any(_is_span_of(said, text, entry.context) for text in wanted) and holding:
                pointed += 1
                continue
            where = f"holds the answer {wanted[0]!r}" if holding else f"does not hold the answer {wanted[:1]}"
            raise CheckFailed(
                f"A window of row {entry.row} {where} and its labels {first} to {last} are "
                f"{repr(said) if inside else 'no span of the context'}.",
                suspects=("qa-answer-outside-window-mislabelled", "labels-shifted-twice")
                if not holding
                else ("labels-shifted-twice", "qa-answer-outside-window-mislabelled"),
                remedy="Label a window that does not wholly hold the answer with the no-answer position (the first "
                "token), and any other with the tokens whose offsets meet the answer.",
            )
    return f"{pointed} windows with their answers, {elsewhere} without"


def all_windows(evidence: Evidence) -> list[Windows]:
    """The windows of rows with a question, a context and its answers, each row encoded by itself.

    Raises:
        CheckSkipped: the features are no such windows, or do not say where their tokens stand in the context.
    """
    return evidence.remember("windows", lambda: _make_windows(evidence))


def _make_windows(evidence: Evidence) -> list[Windows]:
    rows = evidence.rows(LOOKED_AT)
    if not isinstance(rows[0], Mapping):
        raise CheckSkipped("the rows are no mappings")
    column = next((name for name in CONTEXT_COLUMNS if isinstance(rows[0].get(name), str)), None)
    if column is None or not any(_positions(feature)[0] is not None for feature in evidence.features(rows[:1])):
        raise CheckSkipped("the rows have no context, or the features no start_positions")
    found = []
    for number, row in enumerate(rows):
        features = evidence.features([row])
        if any(not feature.get("offset_mapping") for feature in features):
            raise CheckSkipped("the features have no offset_mapping")
        offsets = [_context_offsets(feature, evidence.part("tokenizer")) for feature in features]
        found.append(
            Windows(row=number, context=row[column], answers=_answers(row), features=features, offsets=offsets)
        )
    return found


def _answers(row: Row) -> tuple[tuple[str, int], ...]:
    """Texts of the answers and where each begins in the context, as SQuAD has them."""
    answers = row.get("answers") or row.get("answer") or {}
    if not isinstance(answers, Mapping):
        raise CheckSkipped("it is not known where the answers stand in the context")
    texts, starts = answers.get("text", []), answers.get("answer_start", [])
    if isinstance(texts, str):
        texts, starts = [texts], [starts]
    return tuple(zip(texts, starts, strict=True))


def _positions(feature: Feature) -> tuple[Any, Any]:
    return feature.get("start_positions"), feature.get("end_positions")


def _context_offsets(feature: Feature, tokenizer: Any) -> list[Span | None]:
    """Where each token stands in the context; nothing for special tokens and the question.

    The question has offsets of its own in features that were not cleaned of them. Token types tell the two apart, and
    so do the separators between them.
    """
    offsets = [tuple(offset) if offset and tuple(offset) != (0, 0) else None for offset in feature["offset_mapping"]]
    ids, types = list(feature["input_ids"]), feature.get("token_type_ids")
    if types and any(types):
        context = [kind == 1 for kind in types]
    else:
        special = set(tokenizer.all_special_ids)
        first = next((at for at in range(1, len(ids)) if ids[at] in special), 0)
        begins = any(offset for offset in offsets[:first])
        context = [at > first or not begins for at in range(len(ids))]
    return [offset if own else None for offset, own in zip(offsets, context, strict=True)]


def _holds(offsets: Sequence[Span | None], answer: tuple[str, int]) -> bool:
    """Whether a window shows all of an answer."""
    text, start = answer
    known = [span for span in offsets if span]
    return bool(known) and known[0][0] <= start and known[-1][1] >= start + len(text)


def _is_span_of(said: str, answer: str, context: str) -> bool:
    """Whether decoded tokens are an answer, up to letters that belong to the same word."""
    ours, theirs = letters(said), letters(answer)
    if ours == theirs:
        return True
    start = ours.find(theirs)
    return bool(theirs) and start >= 0 and answer.split() != said.split() and ours in letters(_widen(answer, context))


def _widen(answer: str, context: str) -> str:
    """An answer with the words that it is part of."""
    start = context.find(answer)
    first, last = start, start + len(answer)
    while first > 0 and not context[first - 1].isspace():
        first -= 1
    while last < len(context) and not context[last].isspace():
        last += 1
    return context[first:last]


def _say_skipped(seen: str) -> None:
    raise CheckFailed(
        f"{seen[0].upper()}{seen[1:]}: an answer there cannot be found, whatever the model.",
        suspects=("qa-window-skips-tokens",),
        remedy="Let windows overlap by more tokens than the longest answer has; stride is the overlap in transformers, "
        "and doc_stride the step elsewhere.",
    )
