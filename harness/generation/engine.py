"""What a generation engine has to offer, and the settings that it is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from harness.errors import SettingsError
from harness.models.special_tokens import read_special_token

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from harness.config import GenerationSettings
    from harness.tasks.task import EncodedRow

Resolved = dict[str, int | float | str | bool | list[int] | None]
"""Generation settings with every default filled in; names as in transformers' ``GenerationConfig``."""


class Generate(Protocol):
    """Generates the output of each row."""

    def __call__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        rows: Sequence[EncodedRow],
        settings: Resolved,
        *,
        batch_size: int,
        batch_tokens: int | None = None,
    ) -> list[str]:
        """The outputs in the order of the rows, special tokens left out. The model is not changed."""


class Engine(Generate, Protocol):
    """Generates, and can give the tokens themselves."""

    @property
    def exact(self) -> bool:
        """Whether it computes with the model's own weights in their own precision."""

    def write(
        self,
        model: PreTrainedModel,
        rows: Sequence[EncodedRow],
        settings: Resolved,
        *,
        batch_size: int,
        batch_tokens: int | None = None,
    ) -> list[list[int]]:
        """The new tokens of each row up to its first EOS, that included, in the order of the rows."""

    def refuse(self, model: PreTrainedModel, settings: Resolved) -> None:
        """Make sure that this engine can be used.

        Raises:
            UsageError: it cannot; the message says why.
        """


def resolve_settings(model: PreTrainedModel, settings: GenerationSettings) -> Resolved:
    """The settings that decide the outputs: the experiment's, and the model's own special tokens.

    Nothing is taken from a checkpoint's ``generation_config.json``: it would differ between base and tuned, or between
    two library versions, without a word.

    Raises:
        SettingsError: a setting cannot be used with this kind of model.
    """
    pad, eos, start = (read_special_token(model.config, name) for name in ("pad", "eos", "decoder_start"))
    common: Resolved = {
        "engine": settings.engine,
        "do_sample": False,
        "num_beams": settings.num_beams,
        "length_penalty": settings.length_penalty,
        "early_stopping": settings.early_stopping,
        "no_repeat_ngram_size": settings.no_repeat_ngram_size,
        "eos_token_id": eos,
    }
    if model.config.is_encoder_decoder:
        return {
            **common,
            "min_length": settings.min_length,
            "max_length": settings.max_length,
            "pad_token_id": pad,
            "decoder_start_token_id": pad if start is None else start,
        }
    if settings.no_repeat_ngram_size == 1:
        raise SettingsError(
            "generation.no_repeat_ngram_size is 1, and the model is causal.",
            why="Every token of the prompt would be forbidden, and the padding, which another batch may not have.",
            fix="Set it to 2 or more.",
        )
    # Lengths that counted the prompt would give a row another room in each batch.
    return {
        **common,
        "min_new_tokens": settings.min_length,
        "max_new_tokens": settings.max_length,
        "pad_token_id": (eos[0] if isinstance(eos, list) else eos) if pad is None else pad,
    }
