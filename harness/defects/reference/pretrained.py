"""The clean encoder-decoder pipeline over the embedded T5, which has learned to fill holes in invented news."""

from __future__ import annotations

from functools import cache

from transformers import AutoModelForSeq2SeqLM, PreTrainedModel, PreTrainedTokenizerBase

from harness.checks.pipeline import Pipeline
from harness.config import ModelSettings
from harness.defects.reference import seq2seq, tokenizers
from harness.models.locate import locate_model


def make_pipeline(tokenizer: PreTrainedTokenizerBase, *, name: str = "pretrained") -> Pipeline:
    """The pipeline over a tokenizer that the embedded model should know."""
    return seq2seq.make_pipeline(tokenizer, make_model, name=name)


def make_model(tokenizer: PreTrainedTokenizerBase, seed: int) -> PreTrainedModel:
    """The embedded checkpoint; its weights depend on no seed."""
    return _read()


@cache
def _read() -> PreTrainedModel:
    return AutoModelForSeq2SeqLM.from_pretrained(locate_model(ModelSettings()).path).eval()


PIPELINE = make_pipeline(tokenizers.t5_tokenizer())
