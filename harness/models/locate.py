"""Where a model's files are, found out before anything heavy is imported."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from huggingface_hub import try_to_load_from_cache

from harness.config import ModelSettings
from harness.errors import ModelError
from harness.hub import looks_like_hub_name, require_hub, why_no_hub
from harness.registry import suggest

EMBEDDED = Path(str(resources.files("harness"))) / "models"
"""The folder of the embedded models."""
VOCABULARIES = (
    "tokenizer.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "source.spm",
    "vocab.json",
    "vocab.txt",
)
"""The files that a tokenizer's vocabulary can be in."""
SAFE_WEIGHTS = {"model.safetensors": "model.safetensors.index.json"}
"""The file that weights can be in, and the one that says in which file each tensor of a checkpoint of several is."""
PICKLED_WEIGHTS = {"pytorch_model.bin": "pytorch_model.bin.index.json"}
"""The same of pickles."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a model is: a folder or hub id, and whether the network can be left alone."""

    path: str
    local: bool


def locate_model(settings: ModelSettings) -> Place:
    """Find a model: embedded, in a folder, in the local hub cache, or on the hub.

    Raises:
        ModelError: a path was given and there is no model.
        HubError: a hub id was given, it is not cached, and the hub cannot be reached.
    """
    embedded = EMBEDDED / settings.name
    if looks_like_hub_name(settings.name) and (embedded / "config.json").is_file():
        return Place(path=str(embedded), local=True)
    folder = Path(os.path.expanduser(settings.name))  # noqa: PTH111 - Path.expanduser fails for unknown users
    if folder.is_dir():
        if not (folder / "config.json").is_file() and (folder / "adapter_config.json").is_file():
            raise ModelError(
                f"The folder {folder} holds an adapter and no model: config.json is missing.",
                why="An adapter is a change of a base, and is nothing without it.",
                fix="Put it on its base: PeftModel.from_pretrained(base, folder).merge_and_unload(), and save that and "
                "the tokenizer by save_pretrained.",
            )
        if not (folder / "config.json").is_file():
            raise ModelError(
                f"The folder {folder} holds no model: config.json is missing.", fix="Give a checkpoint folder."
            )
        if not any((folder / name).is_file() for name in VOCABULARIES):
            raise ModelError(
                f"The folder {folder} holds no tokenizer: none of {', '.join(VOCABULARIES)}.",
                why="transformers would make one up, with other ids; one in a pickle is never read.",
                fix="Put the tokenizer's files beside the weights.",
            )
        return Place(path=str(folder), local=True)
    if folder.exists() or not looks_like_hub_name(settings.name):
        raise ModelError(
            f"There is no model folder {folder}.",
            fix=f"{_say_embedded(folder.name)} Check the path, or give one of these or a hub id.",
        )
    if is_cached(settings):
        return Place(path=settings.name, local=True)
    if find_cached(settings, "config.json") and _has_weights(settings, SAFE_WEIGHTS | PICKLED_WEIGHTS) and why_no_hub():
        # Its tokenizer may be in files that are not known here; loading says what is missing.
        return Place(path=settings.name, local=True)
    require_hub(settings.name, what="model", setting="model.name", instead=_say_embedded(settings.name))
    return Place(path=settings.name, local=False)


def is_cached(settings: ModelSettings) -> bool:
    """Whether a model of the hub is on this machine: config, tokenizer and weights, so that the hub need not be asked.

    A fetch that was broken off, or of the config alone, leaves some of them.
    """
    allowed = SAFE_WEIGHTS | PICKLED_WEIGHTS if settings.allow_pickle else SAFE_WEIGHTS
    vocabularies = [name for name in VOCABULARIES if find_cached(settings, name)]
    asked = ["tokenizer_config.json", *(["merges.txt"] if vocabularies == ["vocab.json"] else [])]
    return (
        find_cached(settings, "config.json") is not None
        and bool(vocabularies)
        # What the hub was found not to have is noted in the cache, and is not what was never asked for.
        and all(try_to_load_from_cache(settings.name, name, revision=settings.revision) for name in asked)
        and _has_weights(settings, allowed)
    )


def find_cached(settings: ModelSettings, name: str) -> Path | None:
    """A file of a model of the hub, where it is in the cache."""
    found = try_to_load_from_cache(settings.name, name, revision=settings.revision)
    return Path(found) if isinstance(found, str) else None


def _has_weights(settings: ModelSettings, kinds: Mapping[str, str]) -> bool:
    """Whether weights of one of these kinds are in the cache, with all the files that their index names."""
    for whole, index in kinds.items():
        if find_cached(settings, whole):
            return True
        place = find_cached(settings, index)
        try:
            names = set(json.loads(place.read_text(encoding="utf-8"))["weight_map"].values()) if place else set()
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            continue
        if names and all(isinstance(name, str) and find_cached(settings, name) for name in names):
            return True
    return False


def _say_embedded(name: str) -> str:
    """Which models are embedded, the nearest one first where a name may be misspelled."""
    names = sorted(config.parent.name for config in EMBEDDED.glob("*/config.json"))
    return f"{suggest(name, names)} Embedded are: {', '.join(names)}.".lstrip()
