"""Loading a model and its tokenizer by embedded name, path or hub id: safetensors, and no code, unless allowed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import resources
from typing import Any

import transformers
from transformers import AutoConfig, AutoTokenizer, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from harness.arm import ModelIdentity
from harness.config import ModelSettings
from harness.errors import ModelError, first_line
from harness.fingerprint import hash_text, hash_weights
from harness.models.head import Head, draw_head
from harness.models.locate import locate_model
from harness.models.quiet import quiet_loading
from harness.models.soundness import (
    PROBE,
    require_complete,
    require_ends,
    require_finite,
    require_fitting_tokenizer,
    require_limit,
    require_padding,
    require_words,
)
from harness.models.tagger import AutoCrfTagger
from harness.models.trust import require_trust

OWN_CLASSES = {"AutoCrfTagger": AutoCrfTagger}
"""Classes that load models as the auto classes of transformers do."""
NO_CONVERSION = "DISABLE_SAFETENSORS_CONVERSION"


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A model with the tokenizer that belongs to it."""

    name: str
    model: PreTrainedModel = field(repr=False)
    tokenizer: PreTrainedTokenizerBase = field(repr=False)
    fresh: int = 0
    """How many of its weights belong to a new head."""

    def with_weights_of(self, model: PreTrainedModel) -> LoadedModel:
        """The same name and tokenizer with another model, as after tuning."""
        return replace(self, model=model)

    def identify(self) -> ModelIdentity:
        """What a manifest says of the model."""
        parameters = list(self.model.parameters())
        return ModelIdentity(
            name=self.name,
            weights=hash_weights(self.model),
            tensors=len(parameters),
            parameters=sum(parameter.numel() for parameter in parameters),
            tokenizer=hash_tokenizer(self.tokenizer),
        )


def load_model(settings: ModelSettings, *, auto_class: str, head: Head | None = None) -> LoadedModel:
    """Load a model in float32 on the CPU, in eval mode, with its tokenizer.

    Args:
        settings: the name, path or hub id.
        auto_class: the class that knows the head the task needs: one of transformers, as ``AutoModelForSeq2SeqLM``, or
            one of `OWN_CLASSES`.
        head: the head to put on a body; one that the checkpoint has with these very labels is kept. Without it the
            model writes text, and every tensor must be in the checkpoint.

    Raises:
        ModelError: there is no such model, it would run code, its weights are incomplete, or the tokenizer does not
            fit it.
        HubError: a hub id was given, it is not cached, and the hub cannot be reached.
    """
    place = locate_model(settings)
    require_trust(place, settings)
    options: dict[str, Any] = {
        "revision": settings.revision,
        "local_files_only": place.local,
        "trust_remote_code": settings.trust_remote_code,
    }
    try:
        labels = {} if head is None else _label_options(head, AutoConfig.from_pretrained(place.path, **options))
        with quiet_loading(), _as_published():
            model, report = (OWN_CLASSES.get(auto_class) or getattr(transformers, auto_class)).from_pretrained(
                place.path,
                use_safetensors=None if settings.allow_pickle else True,
                dtype="float32",
                output_loading_info=True,
                **options,
                **labels,
            )
            tokenizer = AutoTokenizer.from_pretrained(place.path, use_fast=True, **options)
    except ModelError:
        raise
    except Exception as error:  # damaged files fail in every way there is
        raise ModelError(
            f'The model "{settings.name}" cannot be loaded as {auto_class}: '
            f"{type(error).__name__}: {first_line(error)}.",
            fix=f"Give a checkpoint that {auto_class} can load: config.json, model.safetensors and tokenizer files.",
        ) from error
    fresh = 0 if head is None else _draw_missing(model, report, head)
    require_complete(settings.name, report)
    require_limit(settings.name, tokenizer)
    require_words(settings.name, tokenizer)
    require_fitting_tokenizer(settings.name, model, tokenizer)
    if head is None:
        require_ends(settings.name, model, tokenizer)
    require_padding(settings.name, tokenizer)
    require_finite(settings.name, model)
    return LoadedModel(name=settings.name, model=model.eval(), tokenizer=tokenizer, fresh=fresh)


def hash_tokenizer(tokenizer: PreTrainedTokenizerBase) -> str:
    """SHA-256 of the vocabulary and of what it makes of a probe text: which ids mean what."""
    probe = tokenizer(PROBE)["input_ids"]
    vocabulary = sorted((index, token) for token, index in tokenizer.get_vocab().items())
    return hash_text(repr((vocabulary, probe)))


def embedded_models() -> tuple[str, ...]:
    """The names of the checkpoints in the package."""
    folder = resources.files("harness") / "models"
    return tuple(sorted(entry.name for entry in folder.iterdir() if (entry / "config.json").is_file()))


@contextmanager
def _as_published() -> Iterator[None]:
    """Keep transformers from having others make safetensors of a checkpoint of pickles, and from loading those."""
    before = os.environ.get(NO_CONVERSION)
    os.environ[NO_CONVERSION] = "true"
    try:
        yield
    finally:
        del os.environ[NO_CONVERSION]
        if before is not None:
            os.environ[NO_CONVERSION] = before


def _label_options(head: Head, config: PretrainedConfig) -> dict[str, Any]:
    """What tells transformers which labels the head has; nothing where the checkpoint has these labels already."""
    if not head.labels or set(config.id2label.values()) == set(head.labels):
        return {}
    names = dict(enumerate(head.labels))
    return {
        "num_labels": len(names),
        "id2label": names,
        "label2id": {name: index for index, name in names.items()},
        "ignore_mismatched_sizes": True,
    }


def _draw_missing(model: PreTrainedModel, report: dict[str, Any], head: Head) -> int:
    """Draw what the checkpoint has not, as long as that is the head and not a part of the body."""
    mismatched = [key[0] if isinstance(key, tuple) else str(key) for key in report.get("mismatched_keys", ())]
    lacking = {*report.get("missing_keys", ()), *mismatched}
    body = f"{model.base_model_prefix}."
    new = {name for name in lacking if not name.startswith(body) or name.startswith(f"{body}pooler.")}
    report["missing_keys"] = lacking - new
    report["mismatched_keys"] = ()
    return draw_head(model, sorted(new), head.seed)
