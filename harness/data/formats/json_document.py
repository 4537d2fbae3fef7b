"""One JSON document: a list of records, ``{"data": [...]}`` around it, or the nested layout of SQuAD.

Source: Rajpurkar et al. (2016), "SQuAD: 100,000+ questions for machine comprehension of text"; questions without an
answer: Rajpurkar, Jia and Liang (2018), "Know what you don't know: unanswerable questions for SQuAD".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.config import DataSettings
from harness.data.columns import Record
from harness.data.formats.lines import open_text
from harness.errors import DataError

LAYOUTS = 'A list of objects is expected, {"data": [objects]}, or the articles, paragraphs and qas of SQuAD.'


def read_json(path: Path, settings: DataSettings) -> Iterator[Record]:
    """The records of a document; of an article in SQuAD's layout one record a question.

    A question's record has the columns ``id``, ``title``, ``context``, ``question`` and ``answers``, a mapping of the
    lists ``text`` and ``answer_start`` (in characters), both empty where the question is marked as impossible.

    Raises:
        DataError: the file is not JSON, or is laid out in another way.
    """
    with open_text(path, settings.limits, limit="document_bytes") as file:
        text = file.read()
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path} is not JSON: {error}.",
            fix='One document is expected; for one object a line set data.format = "jsonl".',
        ) from error
    records = content.get("data") if isinstance(content, dict) else content
    if not isinstance(records, list):
        raise DataError(f"{path} holds no list of records but {_describe(content)}.", fix=LAYOUTS)
    for number, record in enumerate(records, start=1):
        if not isinstance(record, Mapping):
            raise DataError(f"{path}, item {number} is no object but {record!r:.60}.", fix=LAYOUTS)
        if "paragraphs" in record:
            yield from _read_article(record, where=f"{path}, article {number}")
        else:
            yield record


def _read_article(article: Mapping[str, Any], *, where: str) -> Iterator[Record]:
    for number, paragraph in enumerate(_get(article, "paragraphs", list, where), start=1):
        place = f"{where}, paragraph {number}"
        context = _get(paragraph, "context", str, place)
        for count, question in enumerate(_get(paragraph, "qas", list, place), start=1):
            spot = f"{place}, question {count}"
            told = not (isinstance(question, Mapping) and question.get("is_impossible"))
            answers = _get(question, "answers", list, spot) if told else []
            yield {
                "id": str(_get(question, "id", (str, int), spot)),
                "title": article.get("title", ""),
                "context": context,
                "question": _get(question, "question", str, spot),
                "answers": {
                    "text": [_get(answer, "text", str, spot) for answer in answers],
                    "answer_start": [_get(answer, "answer_start", int, spot) for answer in answers],
                },
            }


def _get(holder: object, name: str, kind: type | tuple[type, ...], where: str) -> Any:
    """The value of a part that the layout needs."""
    value = holder.get(name) if isinstance(holder, Mapping) else None
    if not isinstance(value, kind):
        kinds = " or ".join(one.__name__ for one in (kind if isinstance(kind, tuple) else (kind,)))
        raise DataError(f'{where} has no "{name}" of type {kinds}: {holder!r:.60}.', fix=LAYOUTS)
    return value


def _describe(content: object) -> str:
    return f"an object of {', '.join(content) or 'nothing'}" if isinstance(content, dict) else repr(content)[:60]
