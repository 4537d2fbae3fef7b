"""The row ledger: which rows are in which split, whether they should be, and whether all of them are scored."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from harness.checks.check import CheckFailed, CheckSkipped, check
from harness.checks.evidence import SAMPLE, Evidence, Row, read_column
from harness.checks.fresh import call_fresh
from harness.checks.overlap import NEAR, find_matches, split_words

GROUP_COLUMNS = ("doc_id", "document_id", "article_id", "group_id", "group")
"""Usual names of the column that says which rows belong together."""
LOOKED_FOR = 300
"""Rows of an evaluation split that are looked for in the training split."""
LOOKED_IN = 20_000
FEW = 2
"""Short rows that are scored beside the long ones."""
LONG = 20
"""Words from which on one near-duplicate is no coincidence."""
SHORT = 4
"""Words of a column that holds no text worth comparing."""


@check("I9", "data", needs=("splits",))
def splits_share_no_rows(evidence: Evidence) -> str:
    """No evaluation row stands in the training split, not even in another form or in part."""
    train, others = train_and_others(evidence)
    columns = _text_columns(evidence, train)
    trained = [_read_text(row, columns) for row in train]
    raw, plain = set(trained), {_plain(text) for text in trained}
    for name, rows in others.items():
        texts = [_read_text(row, columns) for row in rows]
        exact = [index for index, text in enumerate(texts) if text and text in raw]
        normal = [index for index, text in enumerate(texts) if text not in raw and _plain(text) in plain - {""}]
        sample = texts[:LOOKED_FOR]
        near, parts = _find_near(sample, trained[:LOOKED_IN])
        near = sorted({index for index in near if index not in exact} | set(normal))
        parts = [index for index in parts if index not in exact]
        if not exact and not near and not parts:
            continue
        worst = (exact or near or parts)[0]
        ranking = sorted(
            [
                (-len(exact), "train-eval-exact-overlap"),
                (-len(near), "near-duplicate-benchmark-leak"),
                (-len(parts) - 0.5 * bool(parts), "chunk-split-leak"),
            ]
        )
        raise CheckFailed(
            f'Of {len(texts)} rows of the split "{name}", {len(exact)} stand in the training split word for word, '
            f"{len(near)} in a slightly different form and {len(parts)} in part; the first is row {worst}: "
            f"{texts[worst][:80]!r}.",
            suspects=tuple(suspect for count, suspect in ranking if count),
            remedy="Take these rows out of the training split, by their normalised text and not by their id; split "
            "documents before they are cut into pieces or augmented.",
        )
    return f"{len(train)} training rows, {sum(map(len, others.values()))} others"


@check("I9", "data", needs=("splits",))
def groups_stay_in_one_split(evidence: Evidence) -> str:
    """Rows that belong together (pieces of one document) are in one split."""
    train, others = train_and_others(evidence)
    declared = evidence.declared("group_column")
    names = (declared,) if declared else GROUP_COLUMNS
    name = next((name for name in names if read_column(train[0], name) is not None), None)
    if name is None:
        raise CheckSkipped("rows name no group; declare group_column")
    groups = {str(read_column(row, name)) for row in train}
    for split, rows in others.items():
        shared = [row for row in rows if str(read_column(row, name)) in groups]
        if shared:
            first = read_column(shared[0], name)
            raise CheckFailed(
                f'{len(shared)} of {len(rows)} rows of the split "{split}" have a {name} that the training split has '
                f"as well, the first is {first!r}: the model has seen other pieces of the same document.",
                suspects=("chunk-split-leak",),
                remedy=f"Divide the values of {name} between the splits, then cut documents into pieces.",
            )
    return f"{len(groups)} groups in the training split"


@check("I10", "data", needs=("splits",))
def splits_are_the_same_in_every_process(evidence: Evidence) -> str:
    """Two fresh processes make the same splits."""
    make = evidence.part("splits")
    first, again = (call_fresh(_fingerprints, make, hash_seed=seed, libraries=False) for seed in (0, 1))
    moved = sorted(name for name in first.keys() | again.keys() if first.get(name) != again.get(name))
    if not moved:
        return f"{len(first)} splits"
    name = moved[0]
    mine, theirs = (set(found.get(name, ())) for found in (first, again))
    salted = call_fresh(_fingerprints, make, hash_seed=0, libraries=False) == first
    cause = "they depend on hash(), which is salted anew in each process" if salted else "they are drawn without a seed"
    raise CheckFailed(
        f'The split "{name}" had {len(mine)} rows in one fresh process and {len(theirs)} in another, of which '
        f"{len(mine & theirs)} are in both{', in another order' if mine == theirs else ''}: {cause}.",
        suspects=("unstable-hash-split",),
        remedy="Divide rows by hashlib.sha256 of a stable id, or by random.Random(seed) over sorted ids.",
    )


@check("I9", "data", needs=("splits", "make_model", "tokenizer"))
def every_evaluation_row_is_scored(evidence: Evidence) -> str:
    """As many rows are scored as go in, the long ones too."""
    rows, longer = _short_and_long(evidence)
    model = evidence.model()
    shown = []
    for path in ("generate", "classify", "tag"):
        if evidence.has(path):
            answers = evidence.call(path, model, [*rows, *longer])
            shown.append(path)
            if len(answers) != len(rows) + len(longer):
                _say_dropped(f"{path} gave {len(answers)} answers for {len(rows) + len(longer)} rows")
    for path in ("evaluate", "evaluate_loss"):
        if evidence.has(path):
            unread = _count_unread(evidence, path, model, rows, longer)
            shown.append(path)
            if unread:
                _say_dropped(f"{path} never showed the model {unread} of the {len(longer)} longest rows it was given")
    if not shown:
        raise CheckSkipped("the pipeline has no part that scores rows")
    return f"{len(rows) + len(longer)} rows in {', '.join(shown)}"


def _short_and_long(evidence: Evidence) -> tuple[list[Row], list[Row]]:
    """Some rows of an evaluation split, and its longest ones."""
    _, others = train_and_others(evidence)
    rows = next(iter(others.values()))
    columns = _text_columns(evidence, rows)
    ordered = sorted(rows, key=lambda row: len(_read_text(row, columns)))
    return ordered[:FEW], ordered[FEW:][-SAMPLE // 2 :]


def _count_unread(evidence: Evidence, path: str, model: Any, rows: Sequence[Row], longer: Sequence[Row]) -> int:
    """How many of the longer rows the model did not read, though all were evaluated together.

    Each row that is read adds sequences of its own to those read without it.
    """
    from harness.checks.readings import reading  # noqa: PLC0415 - checks of data alone need no torch

    padding = evidence.part("tokenizer").pad_token_id
    with reading(model, padding) as short:
        evidence.call(path, model, list(rows))
    with reading(model, padding) as both:
        evidence.call(path, model, [*rows, *longer])
    added = {ids for ids in set(both) - set(short) if len(ids) > 1}  # a decoder reads single tokens
    return max(0, len(longer) - len(added)) if short else 0


def _say_dropped(seen: str) -> None:
    raise CheckFailed(
        f"{seen[0].upper()}{seen[1:]}: the score is that of an easier subset.",
        suspects=("eval-rows-silently-dropped",),
        remedy="Score every row: cut an input that is too long, or count it as wrong, and report how many there were.",
    )


def train_and_others(evidence: Evidence) -> tuple[list[Row], dict[str, list[Row]]]:
    """The training split, and all others that have rows."""
    splits = evidence.splits()
    train = next((name for name in splits if name.lower().startswith("train")), None)
    if train is None or not splits[train]:
        raise CheckSkipped('there is no split "train" with rows')
    others = {
        name: rows for name, rows in splits.items() if rows and name != train and not name.lower().startswith("train")
    }
    if not others:
        raise CheckSkipped("there is no split but the training split")
    return splits[train], others


def _text_columns(evidence: Evidence, rows: Sequence[Row]) -> list[str]:
    """Where rows keep what is read and written: input, target and all columns with texts of some length."""
    source, target = (evidence.column_name(rows[0], side) for side in ("input", "target"))
    # Tags of words are no text: long runs of them are alike in all rows.
    tagged = source is not None and target is not None and isinstance(read_column(rows[0], source), list)
    known = [source] if tagged else [source, target]
    apart = {target, evidence.column_name(rows[0], "id"), evidence.declared("group_column"), *GROUP_COLUMNS}
    names = list(rows[0]) if isinstance(rows[0], Mapping) else []
    sample = rows[:50]

    def is_long(name: str) -> bool:
        return sum(len(split_words(_text(read_column(row, name)))) for row in sample) > SHORT * len(sample)

    more = [name for name in names if name not in known and name not in apart and is_long(name)]
    return [name for name in [*known, *more] if name is not None]


def _find_near(sample: Sequence[str], trained: Sequence[str]) -> tuple[list[int], list[int]]:
    """Rows with a near-duplicate in training, and rows that share a long passage with a row in training.

    Short texts are alike by chance in some data ("How do I top up?"), so they count only where they are alike clearly
    more often than training rows are among themselves.
    """
    matches = find_matches(sample, trained)
    near = [match.row for match in matches if match.containment >= NEAR]
    short = [row for row in near if len(split_words(sample[row])) < LONG]
    if short:
        inside = find_matches(trained[:LOOKED_FOR], trained, same=True) if len(trained) <= LOOKED_FOR else (
            find_matches(trained[:LOOKED_FOR], trained[LOOKED_FOR:])
        )  # fmt: skip
        usual = sum(match.containment >= NEAR for match in inside) / min(len(trained), LOOKED_FOR)
        if len(short) <= (2 * usual + 0.02) * len(sample):
            near = [row for row in near if row not in short]
    parts = [match.row for match in matches if match.run and match.containment < 0.95]  # noqa: PLR2004 - all but whole
    if len(parts) <= 0.02 * len(sample):
        parts = []
    return near, parts


def _fingerprints(splits: Any) -> dict[str, list[str]]:
    """Each split's rows as texts, in their order."""
    return {
        str(name): [json.dumps(_plainly(row), sort_keys=True, default=str) for row in rows]
        for name, rows in splits().items()
    }


def _plainly(row: Row) -> Any:
    return dict(row) if isinstance(row, Mapping) else getattr(row, "__dict__", row)


def _read_text(row: Row, columns: Sequence[str]) -> str:
    return "\n".join(_text(read_column(row, name)) for name in columns)


def _text(value: Any) -> str:
    """What a value says: texts, lists of words and chats."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return " ".join(_text(entry) for entry in value.values())
    if isinstance(value, list | tuple):
        return " ".join(_text(entry) for entry in value)
    return "" if value is None else str(value)


def _plain(text: str) -> str:
    return " ".join(split_words(text))
