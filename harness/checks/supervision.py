"""What a loss teaches: which token, after which tokens, with how much weight.

Labels can say one thing and the loss another: -100 is a convention, some losses ignore padding by its id, some models
shift and some do not. So the loss itself is asked. Every logit is set to 0 and the gradient of the loss with respect to
the logits is taken: it is negative at exactly the token that the loss wants, and zero wherever nothing is learned.
"""

from __future__ import annotations

import difflib
import tempfile
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from harness.checks.check import CheckSkipped, PartError
from harness.checks.evidence import SAMPLE, Evidence, Row
from harness.checks.recorder import Interrupted, record, unwrap
from harness.tasks.task import IGNORE_INDEX

MANY = 1_000
"""Rows among which the longest are looked for."""


@dataclass(frozen=True, kw_only=True)
class Taught:
    """What the loss of a batch teaches in one row.

    Args:
        places: positions of the logits that are learned from.
        ids: the token wanted at each of them.
        weights: share of each in the loss; they sum to 1 over a batch where the loss is a mean.
    """

    places: tuple[int, ...]
    ids: tuple[int, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """One row as the model meets it in training.

    Args:
        row: the user's row.
        read: ids that the model is given as ``input_ids``, as far as they are not masked.
        taught: the ids that it has to write, in order.
    """

    row: Row
    read: tuple[int, ...]
    taught: tuple[int, ...]


def taught(evidence: Evidence, model: torch.nn.Module, batch: Mapping[str, Any]) -> list[Taught]:
    """What the user's loss of a batch teaches, row by row.

    Raises:
        CheckSkipped: the model has no head whose outputs are known to be logits.
    """
    with saying(model, torch.zeros_like) as seen:
        loss = evidence.loss(model, batch)
    if len(seen) != 1:
        raise CheckSkipped(f"the model computed logits {len(seen)} times for one loss")
    if not loss.requires_grad:
        return [Taught(places=(), ids=(), weights=())] * len(seen[0])
    (gradient,) = torch.autograd.grad(loss, seen, allow_unused=True)
    if gradient is None:
        return [Taught(places=(), ids=(), weights=())] * len(seen[0])
    wanted, ids = gradient.nan_to_num(0.0).float().min(-1)
    weights = -wanted / (1 - 1 / gradient.shape[-1])
    rows = []
    for row_weights, row_ids in zip(weights, ids, strict=True):
        places = (row_weights > 0).nonzero()[:, 0]
        rows.append(
            Taught(
                places=tuple(places.tolist()),
                ids=tuple(row_ids[places].tolist()),
                weights=tuple(row_weights[places].tolist()),
            )
        )
    return rows


@contextmanager
def saying(model: torch.nn.Module, speak: Callable[[torch.Tensor], torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """Put other logits into a language model's mouth, within the block.

    Args:
        model: a model of transformers with a language-modelling head; PEFT-wrapped or not.
        speak: is given the model's logits, (batch, length, vocabulary) float, and returns those to use.

    Yields:
        The logits that were used, call by call; they can be differentiated by.

    Raises:
        CheckSkipped: the model has no head whose outputs are known to be logits.
    """
    head = getattr(unwrap(model), "get_output_embeddings", lambda: None)()
    if head is None:
        raise CheckSkipped("the model names no output embeddings, so it is not known where its logits are made")
    said: list[torch.Tensor] = []

    def answer(module: torch.nn.Module, args: Any, logits: torch.Tensor) -> torch.Tensor:
        said.append(speak(logits.detach().float()).requires_grad_())
        return said[-1]

    handle = head.register_forward_hook(answer)
    try:
        with torch.enable_grad():
            yield said
    finally:
        handle.remove()


def supervised(evidence: Evidence, batch: Mapping[str, torch.Tensor]) -> list[list[int]]:
    """The ids that each row of a batch teaches: by the loss itself where there is a model, else all labels but -100.

    Raises:
        CheckSkipped: the batch has no labels.
    """
    if evidence.has("make_model"):
        model = evidence.remember("probed model", lambda: evidence.model().requires_grad_(requires_grad=False))
        if getattr(unwrap(model), "get_output_embeddings", lambda: None)() is not None:
            return [list(row.ids) for row in taught(evidence, model, batch)]
    return labelled(batch)


def labelled(batch: Mapping[str, torch.Tensor]) -> list[list[int]]:
    """All labels but -100, row by row.

    Raises:
        CheckSkipped: the batch has no labels of tokens.
    """
    labels = batch.get("labels")
    if labels is None or labels.ndim != 2:  # noqa: PLR2004 - (batch, length)
        raise CheckSkipped("the batch has no labels of tokens")
    return [[label for label in row if label != IGNORE_INDEX] for row in labels.tolist()]


def read_ids(batch: Mapping[str, torch.Tensor]) -> list[tuple[int, ...]]:
    """The ``input_ids`` of each row where its attention mask is not 0."""
    ids = batch["input_ids"]
    mask = batch.get("attention_mask")
    if mask is None or mask.shape != ids.shape:
        mask = torch.ones_like(ids)
    return [tuple(row[kept != 0].tolist()) for row, kept in zip(ids, mask, strict=True)]


def lessons(evidence: Evidence) -> list[Lesson]:
    """The user's first rows as the model meets them in training.

    By ``encode`` and ``collate``; where one of them was not given, by listening to the first step of ``train``.

    Raises:
        CheckSkipped: these parts are missing, or targets are no texts.
    """
    return evidence.remember("lessons", lambda: _meet_rows(evidence))


def _meet_rows(evidence: Evidence) -> list[Lesson]:
    rows = [row for row in _choose(evidence.rows(MANY)) if target_texts(evidence, row)]
    if not rows:
        raise CheckSkipped("the targets are no texts")
    if evidence.declared("task") in {"classification", "sentiment", "ner", "question-answering"}:
        raise CheckSkipped(f"the labels of {evidence.declared('task')} are no text")
    if evidence.has("encode") and (evidence.has("collate") or not evidence.has("train")):
        return encode_lessons(evidence, rows)
    return _overhear(evidence, rows)


def _choose(rows: Sequence[Row]) -> list[Row]:
    """The first rows and the longest ones."""
    longest = sorted(range(len(rows)), key=lambda number: -len(str(rows[number])))[: SAMPLE // 2]
    first = [number for number in range(len(rows)) if number not in longest][: SAMPLE // 2]
    return [rows[number] for number in sorted([*first, *longest])]


def encode_lessons(evidence: Evidence, rows: Sequence[Row]) -> list[Lesson]:
    """Rows through the user's ``encode``, ``filter_features`` and ``collate``; what is filtered out is left out."""
    features = evidence.features(rows)
    if len(features) != len(rows):
        raise CheckSkipped(f"{len(rows)} rows became {len(features)} features")
    kept = list(range(len(rows)))
    if evidence.has("filter_features"):
        left = [dict(feature) for feature in evidence.call("filter_features", [dict(feature) for feature in features])]
        kept = [number for number, feature in enumerate(features) if feature in left]
    chosen = [features[number] for number in kept]
    if not chosen:
        raise CheckSkipped("filter_features keeps none of the rows")
    batch = evidence.batch(chosen) if evidence.has("collate") else _as_batch(chosen)
    if "input_ids" not in batch or len(batch["input_ids"]) != len(chosen):
        raise CheckSkipped("rows are not what the batch has in its first dimension")
    return [
        Lesson(row=rows[number], read=read, taught=tuple(ids))
        for number, read, ids in zip(kept, read_ids(batch), supervised(evidence, batch), strict=True)
    ]


def _as_batch(features: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
    """Features side by side, short ones filled with zeros and with -100 in the labels."""
    if "labels" not in features[0]:
        raise CheckSkipped("encode makes no labels, and the pipeline has no collate")
    return {
        name: torch.nn.utils.rnn.pad_sequence(
            [torch.as_tensor(feature[name]) for feature in features],
            batch_first=True,
            padding_value=IGNORE_INDEX if name == "labels" else 0,
        )
        for name in ("input_ids", "attention_mask", "labels")
        if isinstance(features[0].get(name), list)
    }


def _overhear(evidence: Evidence, rows: Sequence[Row]) -> list[Lesson]:
    """What the model is really given in the first step of training; rows are found again by their targets."""
    model = evidence.model()
    with tempfile.TemporaryDirectory() as folder, record(model, stop_after=1) as recording, suppress(Interrupted):
        evidence.train(model, rows, epochs=1, batch_size=len(rows), seed=evidence.seed, folder=Path(folder))
    heard = [call.inputs for call in recording.learning_calls if "input_ids" in call.inputs]
    if not heard:
        raise CheckSkipped("the pipeline has no encode and collate, and training was not heard to give labels")
    found = []
    for batch in heard:
        for read, ids in zip(read_ids(batch), labelled(batch), strict=True):
            said = squeeze(evidence.part("tokenizer").decode(ids, skip_special_tokens=True))
            row = max(rows, key=lambda row: _overlap(said, squeeze("".join(target_texts(evidence, row)))))
            found.append(Lesson(row=row, read=read, taught=tuple(ids)))
    return found


def _overlap(text: str, target: str) -> float:
    """The longest piece of the target that stands in the text, as a share of both."""
    size = difflib.SequenceMatcher(None, text, target, autojunk=False).find_longest_match().size
    return 2 * size / max(1, len(text) + len(target))


def target_texts(evidence: Evidence, row: Row) -> list[str]:
    """What the model should learn to say: the target, or what the assistant says in a chat; nothing if no text."""
    target = evidence.column(row, "target")
    if target is None and isinstance(row, Mapping):
        target = row.get("messages")
    if isinstance(target, str):
        return [target]
    if isinstance(target, list | tuple) and all(isinstance(message, Mapping) for message in target):
        return [str(message["content"]) for message in target if message.get("role") == "assistant"]
    return []


def squeeze(text: str) -> str:
    """A text without blanks, case and Unicode's several ways to write one letter: for comparing what is said."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def end_tokens(evidence: Evidence) -> set[int]:
    """The ids that end an output: the tokenizer's EOS, and those of the model's generation config."""
    return evidence.remember("end tokens", lambda: _find_ends(evidence))


def _find_ends(evidence: Evidence) -> set[int]:
    tokenizer = evidence.part("tokenizer")
    ends = {tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.sep_token_id}
    if evidence.has("make_model"):
        config = getattr(unwrap(evidence.model()), "generation_config", None)
        more = getattr(config, "eos_token_id", None)
        ends |= set(more) if isinstance(more, list | tuple) else {more}
    return ends - {None}


def row_of(batch: Mapping[str, torch.Tensor], number: int) -> dict[str, torch.Tensor]:
    """One row of a batch, as a batch of its own with the padding that it has."""
    sizes = {len(value) for value in batch.values() if value.ndim}
    if len(sizes) != 1:
        raise PartError(f"The tensors of a batch have first dimensions {sorted(sizes)}; expected one, the rows.")
    return {name: value[number : number + 1] if value.ndim else value for name, value in batch.items()}
