"""The clean pipelines on which no check may fail: the references, and five shapes with small or real tokenizers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.checks.pipeline import Pipeline
from harness.defects.reference import NAMES, REFERENCES
from harness.errors import UsageError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SEEDS = (0, 1, 2)
SHAPES = {"t5": "t5", "marian": "marian-en-mg", "gpt2": "gpt2", "llama": "phi-3-mini-chat", "bert": "bert-base-uncased"}
"""Each shape and the folder of the real tokenizer that it goes with."""


@dataclass(frozen=True, kw_only=True)
class CleanPipeline:
    """A pipeline with no known fault, made in the process that audits it.

    Args:
        name: shown in the matrix.
        make: makes it.
        seed: decides the random choices of the checks.
        reference: which reference it is; nothing for a shape.
    """

    name: str
    make: Callable[[], Pipeline]
    seed: int
    reference: str | None = None


def clean_pipelines(tokenizers: Path | None = None) -> tuple[CleanPipeline, ...]:
    """Each reference once, and each shape with three seeds: of its rows, its first weights and its training.

    Args:
        tokenizers: a folder with the real tokenizers; small ones trained on the newsroom where it is not given.

    Raises:
        UsageError: a tokenizer is not in the folder.
    """
    for folder in SHAPES.values() if tokenizers else ():
        if not (Path(str(tokenizers)) / folder).is_dir():
            raise UsageError(f"There is no tokenizer {folder} in {tokenizers}.", fix="Name the folder that holds them.")
    references = [
        CleanPipeline(name=f"reference {name}", make=partial(REFERENCES.__getitem__, name), seed=0, reference=name)
        for name in NAMES
    ]
    shapes = [
        CleanPipeline(name=f"{shape}, seed {seed}", make=partial(make_shape, shape, seed, tokenizers), seed=seed)
        for shape in SHAPES
        for seed in SEEDS
    ]
    return (*references, *shapes)


def make_shape(shape: str, seed: int, tokenizers: Path | None = None) -> Pipeline:
    """A clean pipeline of one shape: t5, marian, gpt2, llama or bert."""
    from harness.defects.reference import causal, classifier, models, rows, seq2seq  # noqa: PLC0415 - torch is heavy

    tokenizer = _tokenizer(shape, tokenizers)
    if shape in {"t5", "marian"}:
        clean = seq2seq.make_pipeline(tokenizer, getattr(models, f"make_{shape}"), name=shape)
    elif shape in {"gpt2", "llama"}:
        clean = causal.make_pipeline(tokenizer, getattr(models, f"make_{shape}"), name=shape)
    else:
        clean = classifier.make_pipeline(tokenizer, name=shape)
    make: Any = clean.make_model
    return replace(
        clean,
        make_model=lambda seed=0, start=1000 * seed: make(start + seed),
        splits=partial(rows.read_splits, seed=7 + seed),
    )


def _tokenizer(shape: str, tokenizers: Path | None) -> PreTrainedTokenizerBase:
    from harness.defects.reference import tokenizers as small  # noqa: PLC0415

    if tokenizers is not None:
        return small.real_tokenizer(tokenizers / SHAPES[shape])
    if shape in {"t5", "marian"}:
        return small.t5_tokenizer()
    return small.encoder_tokenizer() if shape == "bert" else small.causal_tokenizer()
