"""Rows, and the ledger that says which row stands in which split."""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import numpy as np

from harness.errors import DataError, OverlapError
from harness.fingerprint import hash_json, hash_list, hash_text
from harness.spool import PART, Spool

NAMED = 5
"""How many rows an error message names."""

MOST_START = (1 << 64) - 1
"""The first 64 bits of a hash at most."""
Span = tuple[int, int]
"""A part of a text: where it starts, and the first character behind it."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One example of a data set.

    Args:
        id: names the row within its source.
        input: the text that the model is given, without any task prefix; of question answering the question.
        target: the text that the model should produce; a label's name, or tags joined by blanks.
        references: the texts that a metric compares to; the target alone where none are given.
        context: of question answering the passage that holds the answer.
        spans: where each reference stands in the context, (start, end) in characters; nothing where it does not.
        turns: of a chat (role, text) of each message before the target; ``input`` is then the last of these texts.

    Example:
        >>> row = Row(id="1", input="It rained in Marl.", target="Rain in Marl.")
        >>> row.references
        ('Rain in Marl.',)
    """

    id: str
    input: str
    target: str
    references: tuple[str, ...] = ()
    context: str = ""
    spans: tuple[Span, ...] = ()
    turns: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if not self.references:
            object.__setattr__(self, "references", (self.target,))

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the content, the id left out."""
        content: list[object] = [self.input, self.target, list(self.references)]
        if self.context:
            content += [self.context, [list(span) for span in self.spans]]
        if self.turns:
            content.append([list(turn) for turn in self.turns])
        return hash_json(content)

    @cached_property
    def normalised_hash(self) -> str:
        """SHA-256 of the input after `normalise`: equal for copies that differ in case, spacing or punctuation."""
        read = " ".join([*(text for _, text in self.turns[:-1]), self.input, self.context]).strip()
        return hash_json(normalise(read) or read)

    @cached_property
    def passage(self) -> str:
        """Names the passage that is asked about, equal for copies as above; nothing where there is none.

        Rows that share one must stand in the same split: a model that has seen the answers of some questions about it
        knows what the others ask for.
        """
        return hash_json(normalise(self.context) or self.context) if self.context else ""


def normalise(text: str) -> str:
    """Fold case and Unicode compatibility forms, and drop all but letters and digits."""
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold()))


@dataclass(frozen=True, kw_only=True)
class Splits:
    """The rows that train and the rows that evaluate; no row is in both, and no passage.

    Raises:
        OverlapError: a row or a passage, exact or normalised, stands in both.
        DataError: a split is empty, or two rows of a split have the same id.
    """

    train: Sequence[Row]
    eval: Sequence[Row]

    def __post_init__(self) -> None:
        for name, rows in (("training", self.train), ("evaluation", self.eval)):
            if not rows:
                raise DataError(f"The {name} split has no rows.", fix="Check the source and its filters.")
            _require_unique_ids(name, rows)
        _require_disjoint(self.train, self.eval)
        _require_own_passages(self.train, self.eval)


def hash_rows(rows: Iterable[Row]) -> str:
    """SHA-256 over the ids and contents of rows, in order: the ledger's fingerprint."""
    return hash_list([row.id, row.hash] for row in rows)


def list_ledger(splits: Splits) -> Iterator[dict[str, str]]:
    """The lines of the ledger: split, id and content hash of each row."""
    for split, rows in (("train", splits.train), ("eval", splits.eval)):
        for row in rows:
            yield {"hash": row.hash, "id": row.id, "split": split}


def draw_rows(rows: Iterable[Row], count: int, *, seed: int) -> Spool[Row]:
    """Draw ``count`` rows: those whose hash of seed and id is smallest, in the order of that hash.

    So the draw is the same on every platform, and a row that is added to the source moves at most one other out. The
    rows are streamed; on disk are little more than the drawn ones. Where rows ask about passages, whole passages are
    drawn, so that the order can be cut between two of them.
    """

    def hash_row(row: Row) -> str:
        return hash_text(f"{seed}/{row.passage or row.id}")

    kept: Spool[Row] = Spool()
    # Of a hash 64 bits stay in memory; where they tie, the rows are asked again.
    starts, places = array("Q"), array("q")
    last = MOST_START
    for row in rows:
        start = int(hash_row(row)[:16], 16)
        if start > last:
            continue
        starts.append(start)
        places.append(len(kept))
        kept.append(row)
        if len(starts) == 2 * count + PART:
            last = sorted(starts)[count - 1]
            inside = [number for number, start in enumerate(starts) if start <= last]
            starts, places = array("Q", [starts[n] for n in inside]), array("q", [places[n] for n in inside])
    order: list[int] = []
    for _, equal in groupby(sorted(range(len(starts)), key=starts.__getitem__), key=starts.__getitem__):
        tied = [places[number] for number in equal]
        order += tied if len(tied) == 1 else sorted(tied, key=lambda place: (hash_row(kept[place]), kept[place].id))
    return kept.take(order[:count])


def find_cut(rows: Sequence[Row], wanted: int) -> int:
    """The place nearest to ``wanted`` where drawn rows can be cut in two without cutting a passage.

    Raises:
        DataError: there is none, for all rows ask about one passage.
    """
    places = [
        place
        for place in range(1, len(rows))
        if not rows[place].passage or rows[place].passage != rows[place - 1].passage
    ]
    if len(rows) > 1 and not places:
        raise DataError(
            f"All {len(rows)} rows ask about one passage.",
            why="A passage that trains cannot evaluate: the scores would show memory, not skill.",
            fix="Give rows about several passages, or data.eval_source.",
        )
    return min(places, key=lambda place: abs(place - wanted), default=wanted)


def drop_duplicates(rows: Iterable[Row], *, apart_from: Sequence[Row] = ()) -> Iterator[Row]:
    """The first of each group of rows whose inputs are equal after normalising.

    None of them is equal to one of ``apart_from`` or asks about the same passage.
    """

    def name(row: Row) -> bytes:
        # Half of the hash takes less than half of the memory, and is as good.
        return bytes.fromhex(row.normalised_hash[:32])

    seen = set(map(name, apart_from))
    passages = {row.passage for row in apart_from if row.passage}
    for row in rows:
        if (named := name(row)) not in seen and row.passage not in passages:
            seen.add(named)
            yield row


def _require_unique_ids(name: str, rows: Sequence[Row]) -> None:
    # Almost always the hashes tell all ids apart, in a fraction of the memory.
    if len(np.unique(np.fromiter((hash(row.id) for row in rows), np.int64, len(rows)))) == len(rows):
        return
    seen: set[str] = set()
    for row in rows:
        if row.id in seen:
            raise DataError(
                f'Two rows of the {name} split have the id "{row.id}".',
                why="Scores are paired by id.",
                fix="Give every row an id of its own.",
            )
        seen.add(row.id)


def _require_disjoint(train: Sequence[Row], evaluation: Sequence[Row]) -> None:
    trained = {row.normalised_hash: row for row in train}
    pairs = [(trained[row.normalised_hash], row) for row in evaluation if row.normalised_hash in trained]
    if pairs:
        exact = sum(one.input == other.input for one, other in pairs)
        named = ", ".join(f"{one.id} = {other.id}" for one, other in pairs[:NAMED])
        more = f" and {len(pairs) - NAMED} more" if len(pairs) > NAMED else ""
        raise OverlapError(
            f"{len(pairs)} of {len(evaluation)} evaluation rows are also training rows ({exact} exactly, "
            f"{len(pairs) - exact} after normalising): training row = evaluation row: {named}{more}.",
            why="Their scores would show memory, not skill.",
            fix="Set data.deduplicate = true, or take them out of one of the two.",
        )


def _require_own_passages(train: Sequence[Row], evaluation: Sequence[Row]) -> None:
    trained = {row.passage: row for row in train if row.passage}
    pairs = [(trained[row.passage], row) for row in evaluation if row.passage in trained]
    if pairs:
        named = ", ".join(f"{one.id} and {other.id}" for one, other in pairs[:NAMED])
        more = f" and {len(pairs) - NAMED} more" if len(pairs) > NAMED else ""
        raise OverlapError(
            f"{len(pairs)} of {len(evaluation)} evaluation rows ask about passages of training rows: {named}{more}.",
            why="The model has learned what is asked about these passages, so the scores would show memory, not skill.",
            fix="Set data.deduplicate = true, or keep each passage in one of the two.",
        )
