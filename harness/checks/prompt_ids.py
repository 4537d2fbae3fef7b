"""Prompts as ids: which tokens are the prompt's, what stands around the text of a row, and how two prompts differ."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.checks.check import CheckSkipped, PartError
from harness.checks.evidence import Evidence, Feature, Row
from harness.checks.overlap import split_words

IGNORE_INDEX = -100
SHORT_TEXTS = ("Harbour lights", "7 quiet ducks!", "zinc and copper", "Amber (old)")


def count_prompt(feature: Feature) -> int | None:
    """How many of a feature's ids are prompt; nothing where the labels do not say.

    The labels of a decoder-only model are its own ids with the prompt masked; an encoder reads nothing but prompt.
    """
    ids, labels = list(feature["input_ids"]), feature.get("labels")
    if not isinstance(labels, list) or len(labels) != len(ids):
        return len(ids)
    if any(label not in {IGNORE_INDEX, token} for label, token in zip(labels, ids, strict=True)):
        return len(ids)
    first = next((place for place, label in enumerate(labels) if label != IGNORE_INDEX), len(ids))
    return first or None


def encoded_prompts(evidence: Evidence, path: str, rows: Sequence[Row]) -> list[list[int]]:
    """The ids of each row's prompt, windows of one row apart.

    Args:
        evidence: of the pipeline.
        path: ``"encode_prompt"``, the way of generation, or ``"encode"``, that of training.
        rows: any rows.
    """
    if path == "encode":
        features = evidence.features(rows)
        counts = [count_prompt(feature) for feature in features]
        return [list(f["input_ids"])[:count] for f, count in zip(features, counts, strict=True) if count is not None]
    prompts = evidence.call("encode_prompt", list(rows))
    if isinstance(prompts, Mapping):
        prompts = prompts["input_ids"]
    prompts = [prompt.tolist() if hasattr(prompt, "tolist") else prompt for prompt in prompts]
    if not all(isinstance(prompt, list | tuple) and all(isinstance(i, int) for i in prompt) for prompt in prompts):
        raise PartError("encode_prompt returned something else than lists of token ids, one a row.")
    return [list(prompt) for prompt in prompts]


def find_bulk(evidence: Evidence, rows: Sequence[Row]) -> str:
    """The column that may become long: that of the texts with the most words, the target aside.

    Raises:
        CheckSkipped: rows have no text but their target.
    """
    target = evidence.column_name(rows[0], "target")
    identity = evidence.column_name(rows[0], "id")
    sizes = {
        name: sum(len(split_words(row[name])) for row in rows)
        for name, value in (rows[0].items() if isinstance(rows[0], Mapping) else ())
        if isinstance(value, str) and name not in {target, identity}
    }
    if not sizes:
        raise CheckSkipped("the rows hold no text that could be made longer")
    longest: str = max(sizes, key=lambda name: sizes[name])
    return longest


def surroundings(prompts: Sequence[Sequence[int]]) -> tuple[list[int], list[int]]:
    """The ids with which all prompts begin, and those with which all end."""
    return shared_beginning(prompts), shared_beginning([prompt[::-1] for prompt in prompts])[::-1]


def shared_beginning(sequences: Sequence[Sequence[int]]) -> list[int]:
    """The ids with which all sequences begin."""
    places = zip(*sequences, strict=False)
    return [ids[0] for ids in itertools.takewhile(lambda ids: len(set(ids)) == 1, places)]


def describe_difference(
    trained: Sequence[int], asked: Sequence[int], *, begin: int | None, decode: Callable[[Any], str], prefix: str | None
) -> tuple[str, tuple[str, ...]]:
    """How the prompt of generation differs from that of training, in words, and which defects do that."""
    counts = [_count_leading(ids, begin) for ids in (trained, asked)]
    if counts[0] != counts[1]:
        ranking = ("double-bos-training", "train-inference-prompt-skew")
        seen = f"training begins with {counts[0]} begin tokens and generation with {counts[1]}"
        return seen, ranking if counts[0] > 1 else ranking[::-1]
    ours, theirs = split_words(decode(trained)), split_words(decode(asked))
    wanted = split_words(prefix or "")
    if wanted and (ours[: len(wanted)] == wanted) != (theirs[: len(wanted)] == wanted):
        where = "generation" if ours[: len(wanted)] == wanted else "training"
        return f"{where} lacks the prefix {prefix!r}", ("missing-task-prefix", "train-inference-prompt-skew")
    shorter, longer = sorted((ours, theirs), key=len)
    if shorter != longer and shorter == longer[len(longer) - len(shorter) :]:
        seen = f"one of them lacks the first {len(longer) - len(shorter)} words of the other"
        return seen, ("missing-task-prefix", "eval-context-left-truncated", "train-inference-prompt-skew")
    same = len(shared_beginning([trained, asked]))
    seen = (
        f"from token {same} on training has {decode(trained[same : same + 4])!r} and generation "
        f"{decode(asked[same : same + 4])!r}"
    )
    if same >= max(len(trained), len(asked)) - 2:
        return seen, ("prompt-completion-boundary-merge", "train-inference-prompt-skew")
    return seen, ("train-inference-prompt-skew", "slow-fast-tokenizer-mismatch", "missing-task-prefix")


def _count_leading(ids: Sequence[int], token: int | None) -> int:
    count = 0
    while token is not None and count < len(ids) and ids[count] == token:
        count += 1
    return count
