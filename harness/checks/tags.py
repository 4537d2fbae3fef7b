"""Does a tagger learn one tag a word, and give back the likeliest ones?

The pipeline is taken as it is: the loss of every possible sequence of tags of two words is asked for. Where the loss of
one tag depends on its neighbour it is that of a conditional random field, so the probabilities must sum to 1, and the
tags that are given back must be those with the smallest loss. A field that scores padding, special tokens or pieces
of words fails one of the two.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from harness.checks.check import CheckFailed, CheckSkipped, PartError, check
from harness.checks.evidence import Evidence, Row
from harness.checks.supervision import labelled

LENGTH = 2
"""Words whose every sequence of tags is scored."""
SEQUENCES = 500
"""At most so many sequences are scored for one pair of words."""
WORDS = 24
TOLERANCE = 2e-3
SHAKES = 2
"""Models with random scores that are asked."""
SHAKE = 3.0
"""Size of random scores of tags: large enough that the likeliest tags differ from word to word."""
IMPOSSIBLE = 100.0
"""A loss that is so much larger, in nats, is that of tags that the model excludes."""

Tags = tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Two words with the loss of each sequence of their tags, in nats, as the pipeline gives it.

    Args:
        shake: which model was asked.
        row: the words.
        losses: loss by tags.
    """

    shake: int
    row: Row
    losses: Mapping[Tags, float]

    @property
    def best(self) -> Tags:
        """The likeliest tags."""
        return min(self.losses, key=lambda tags: self.losses[tags])

    @property
    def is_field(self) -> bool:
        """Whether the loss of a tag depends on its neighbour."""
        first, last = self.best
        return any(
            abs(self.losses[a, b] + self.losses[first, last] - self.losses[a, last] - self.losses[first, b]) > TOLERANCE
            for a, b in self.losses
            if max(self.losses[a, b], self.losses[a, last], self.losses[first, b]) < IMPOSSIBLE
        )


@check("I2", "labels", needs=("encode", "collate", "make_model"))
def a_tagger_gives_each_sequence_its_probability(evidence: Evidence) -> str:
    """Each word has one supervised label, or each piece; over all tags of two words the probabilities sum to 1."""
    _judge_supervised(evidence)
    scored = _score_pairs(evidence)
    if not any(pair.is_field for pair in scored):
        return f"{len(scored)} pairs of words, each tag is learned by itself"
    worst = _worst_sum(scored)
    if abs(worst - 1) > TOLERANCE:
        raise CheckFailed(
            f"The probabilities of all {len(scored[0].losses)} sequences of tags of {LENGTH} words sum to {worst:.4f}.",
            suspects=("crf-pads-as-class-zero", "crf-includes-cls-sep-subwords"),
            remedy="Give the field the first pieces of words only: mask = labels != -100, not the attention mask.",
        )
    return f"{len(scored)} pairs of words, {len(scored[0].losses)} sequences each"


@check("I11", "labels", needs=("encode", "collate", "make_model", "tag"))
def tags_are_the_likeliest_one_a_word(evidence: Evidence) -> str:
    """A tagger returns one tag a word, the sequence with the smallest loss, and none that the model excludes."""
    rows = [row for row, _ in _short_rows(evidence)]
    scored = _score_pairs(evidence)
    names = ("crf-includes-cls-sep-subwords", "crf-pads-as-class-zero")
    suspects = names if abs(_worst_sum(scored) - 1) <= TOLERANCE else names[::-1]
    for shake in range(SHAKES):
        model = _shaken_model(evidence, shake)
        for number, (row, tags) in enumerate(zip(rows, _tag(evidence, model, rows), strict=True)):
            if len(tags) != len(evidence.column(row, "input")):
                raise CheckFailed(
                    f"Row {number}: {len(tags)} tags for {len(evidence.column(row, 'input'))} words.",
                    suspects=suspects,
                    remedy="Decode over the first pieces of words: special tokens and other pieces have no tag.",
                )
            banned = [pair for pair in itertools.pairwise(tags) if _is_excluded(scored, pair)]
            if banned:
                raise CheckFailed(
                    f"Row {number}: {len(banned)} transitions that the model excludes, as {' '.join(banned[0])}.",
                    suspects=suspects,
                    remedy="Take pieces that carry no tag out before decoding, not from what was decoded.",
                )
        pairs = [pair for pair in scored if pair.shake == shake]
        for pair, found in zip(pairs, _tag(evidence, model, [pair.row for pair in pairs]), strict=True):
            loss, least = pair.losses.get(tuple(found), math.inf), pair.losses[pair.best]
            if loss > least + TOLERANCE:
                raise CheckFailed(
                    f"{' '.join(found)} is returned, at a loss of {loss:.3f}; {' '.join(pair.best)} has {least:.3f}.",
                    suspects=suspects,
                    remedy="Decode with the mask of the loss, and with the names in the order of their ids.",
                )
    return f"{len(rows)} rows and {len(scored)} pairs of words"


def _worst_sum(scored: Sequence[Scored]) -> float:
    """The sum of probabilities that is farthest from 1, of the pairs in which a tag depends on its neighbour."""
    sums = [sum_up(pair) for pair in scored if any(other.is_field for other in scored)]
    return max(sums, key=lambda total: abs(math.log(total)), default=1.0)


def sum_up(scored: Scored) -> float:
    """The summed probability of all sequences; a loss may be a row's or the mean over its words: the fitting one."""
    totals = [sum(math.exp(-words * loss) for loss in scored.losses.values()) for words in (1, LENGTH)]
    return min(totals, key=lambda total: abs(math.log(total)) if total > 0 else math.inf)


def _is_excluded(scored: Sequence[Scored], tags: Tags) -> bool:
    """Whether the second tag is impossible behind the first, in every pair of words, though others are possible."""
    begun = [[loss for (first, _), loss in pair.losses.items() if first == tags[0]] for pair in scored]
    return all(pair.losses[tags] - min(losses) > IMPOSSIBLE for pair, losses in zip(scored, begun, strict=True))


def _short_rows(evidence: Evidence) -> list[tuple[Row, Sequence[int]]]:
    """The beginnings of the user's rows, and the labels that are supervised there."""

    def make() -> list[tuple[Row, Sequence[int]]]:
        pairs = [(evidence.column(row, "input"), evidence.column(row, "target")) for row in evidence.rows()]
        if not all(isinstance(words, list) and isinstance(tags, list) for words, tags in pairs):
            raise CheckSkipped("rows do not hold a list of words and one of tags")
        if not all(isinstance(tag, str) for _, tags in pairs for tag in tags):
            raise CheckSkipped("tags are not given by name")
        rows = evidence.with_texts([(words[:WORDS], tags[:WORDS]) for words, tags in pairs])
        return list(zip(rows, labelled(evidence.batch(evidence.features(rows))), strict=True))

    return evidence.remember("short rows", make)


def _judge_supervised(evidence: Evidence) -> None:
    """Labels are supervised at first pieces, or at all pieces of words."""
    for number, (row, labels) in enumerate(_short_rows(evidence)):
        words, pieces = len(evidence.column(row, "input")), _count_pieces(evidence, row)
        if len(labels) not in {words, pieces}:
            raise CheckFailed(
                f"Row {number}: {len(labels)} labels are supervised, for {words} words in {pieces} pieces.",
                suspects=("crf-pads-as-class-zero", "crf-includes-cls-sep-subwords"),
                remedy="Label the first piece of each word; -100 is for special tokens, padding and other pieces.",
            )


def _count_pieces(evidence: Evidence, row: Row) -> int:
    """Pieces of a row without special tokens."""
    (feature,) = evidence.features([row])
    if not evidence.has("tokenizer"):
        return len(feature["input_ids"])
    return len(feature["input_ids"]) - int(evidence.part("tokenizer").num_special_tokens_to_add())


def _names(evidence: Evidence) -> tuple[str, ...]:
    """The names of the tags."""
    declared: tuple[str, ...] | None = evidence.declared("labels")
    if declared:
        return declared
    names = getattr(getattr(evidence.model(), "config", None), "id2label", {})
    return tuple(names[index] for index in sorted(names))


def _shaken_model(evidence: Evidence, number: int) -> torch.nn.Module:
    """The user's model with scores and transitions of some size: every matrix with a row or column for each tag."""

    def shake() -> torch.nn.Module:
        model, tags = evidence.model(), len(_names(evidence))
        sizes = {tags, tags + 2}  # some count a start and an end as tags
        generator = torch.Generator().manual_seed(SHAKES * evidence.seed + number)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim == 2 and sizes & set(parameter.shape):  # noqa: PLR2004 - a matrix
                    noise = torch.randn(parameter.shape, generator=generator)
                    parameter.add_(SHAKE * noise * (tags / parameter.numel()) ** 0.5)
        return model

    return evidence.remember(f"shaken model {number}", shake)


def _score_pairs(evidence: Evidence) -> list[Scored]:
    """Pairs of words of one piece and of several, with the loss of each sequence of tags."""

    def score() -> list[Scored]:
        names = _names(evidence)
        sequences = list(itertools.product(names, repeat=LENGTH))
        if len(sequences) > SEQUENCES:
            raise CheckSkipped(f"{len(names)} tags make {len(sequences)} pairs, too many to score each")
        pairs = []
        for words in _choose_words(evidence):
            rows = evidence.with_texts([(list(words), list(tags)) for tags in sequences])
            batches = _encode_each(evidence, rows)
            for shake in range(SHAKES):
                model = _shaken_model(evidence, shake)
                with torch.no_grad():
                    losses = [math.inf if batch is None else float(evidence.loss(model, batch)) for batch in batches]
                pairs.append(Scored(shake=shake, row=rows[0], losses=dict(zip(sequences, losses, strict=True))))
        return pairs

    return evidence.remember("scored pairs", score)


def _encode_each(evidence: Evidence, rows: Sequence[Row]) -> list[Any]:
    """A batch of each row; nothing for tags that the pipeline refuses to learn, which have no probability then."""
    batches: list[Any] = []
    refused: Exception | None = None
    for row in rows:
        try:
            batches.append(evidence.batch(list(evidence.features([row]))))
        except Exception as error:  # noqa: BLE001 - whatever a user's part raises
            refused = error
            batches.append(None)
    if refused is not None and not any(batch is not None for batch in batches):
        raise refused
    return batches


def _choose_words(evidence: Evidence) -> list[tuple[str, str]]:
    """Pairs of a word of many pieces and one of few, in both orders; of few only where every piece has a label."""
    rows = _short_rows(evidence)
    words = list(dict.fromkeys(word for row, _ in rows for word in evidence.column(row, "input")))
    tag = evidence.column(rows[0][0], "target")[0]
    lengths = [len(f["input_ids"]) for f in evidence.features(evidence.with_texts([([word], [tag]) for word in words]))]
    ordered = [word for _, word in sorted(zip(lengths, words, strict=True))]
    if len(ordered) < LENGTH:
        raise CheckSkipped("the rows have too few words")
    few = (ordered[0], ordered[1])
    if any(len(labels) != len(evidence.column(row, "input")) for row, labels in rows):
        return [few]
    return [(ordered[-1], ordered[0]), (ordered[0], ordered[-2])]


def _tag(evidence: Evidence, model: torch.nn.Module, rows: Sequence[Row]) -> list[list[str]]:
    """The user's tags.

    Raises:
        PartError: they are no lists of names.
    """
    found = evidence.call("tag", model, list(rows))
    if not isinstance(found, Sequence) or any(not isinstance(tags, list | tuple) for tags in found):
        raise PartError(f"tag returned {type(found).__name__}; expected one list of tag names a row.")
    return [list(tags) for tags in found]
