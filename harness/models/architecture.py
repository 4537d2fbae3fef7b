"""Which kind of model a checkpoint is, from its config alone."""

from __future__ import annotations

from typing import Literal, get_args

from transformers import AutoConfig, PretrainedConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, MODEL_FOR_MASKED_LM_MAPPING_NAMES

from harness.config import ModelSettings
from harness.errors import ModelError, first_line
from harness.models.locate import locate_model
from harness.models.trust import require_trust

Architecture = Literal["encoder-decoder", "causal", "encoder"]
ARCHITECTURES: tuple[Architecture, ...] = get_args(Architecture)


def read_architecture(settings: ModelSettings) -> Architecture:
    """Whether a checkpoint is an encoder-decoder, a causal model or an encoder.

    Raises:
        ModelError: there is no such model, it would run code, or its config cannot be read.
        HubError: a hub id was given, it is not cached, and the hub cannot be reached.
    """
    place = locate_model(settings)
    require_trust(place, settings)
    try:
        config = AutoConfig.from_pretrained(
            place.path,
            revision=settings.revision,
            local_files_only=place.local,
            trust_remote_code=settings.trust_remote_code,
        )
    except Exception as error:  # damaged files fail in every way there is
        raise ModelError(
            f'The config of "{settings.name}" cannot be read: {type(error).__name__}: {first_line(error)}.',
            fix="Check the name (a private one needs hf auth login); its config.json has to name its model_type.",
        ) from error
    return tell_architecture(config)


def tell_architecture(config: PretrainedConfig) -> Architecture:
    """The same for a config; where a model can be both, as BERT, what it was saved as decides."""
    if config.is_encoder_decoder:
        return "encoder-decoder"
    saved_as = " ".join(config.architectures or ())
    if "CausalLM" in saved_as or "LMHead" in saved_as:
        return "causal"
    if config.model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and (
        getattr(config, "is_decoder", False) or config.model_type not in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    ):
        return "causal"
    return "encoder"
