"""Where a model's files are, found out before anything heavy is imported."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from huggingface_hub import try_to_load_from_cache

from harness.config import ModelSettings
from harness.errors import ModelError
from harness.hub import looks_like_hub_name, require_hub
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
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""The files that weights can be in."""
INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
"""The files that say in which file each tensor of a checkpoint of several files is."""


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
    cached = is_cached(settings)
    if not cached:
        require_hub(settings.name, what="model", setting="model.name", instead=_say_embedded(settings.name))
    return Place(path=settings.name, local=cached)


def is_cached(settings: ModelSettings) -> bool:
    """Whether a model of the hub is on this machine: config, vocabulary and weights, so that the hub need not be asked.

    A fetch that was broken off, or of the config alone, leaves some of them.
    """

    def find(name: str) -> Path | None:
        found = try_to_load_from_cache(settings.name, name, revision=settings.revision)
        return Path(found) if isinstance(found, str) else None

    def has_shards(index: str) -> bool:
        place = find(index)
        try:
            names = set(json.loads(place.read_text(encoding="utf-8"))["weight_map"].values()) if place else set()
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return False
        return bool(names) and all(isinstance(name, str) and find(name) for name in names)

    return (
        find("config.json") is not None
        and any(map(find, VOCABULARIES))
        and (any(map(find, WEIGHTS)) or any(map(has_shards, INDEXES)))
    )


def _say_embedded(name: str) -> str:
    """Which models are embedded, the nearest one first where a name may be misspelled."""
    names = sorted(config.parent.name for config in EMBEDDED.glob("*/config.json"))
    return f"{suggest(name, names)} Embedded are: {', '.join(names)}.".lstrip()
