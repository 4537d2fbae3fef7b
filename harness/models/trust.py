"""What of a checkpoint could run code when it is read, and is refused unless the settings allow it by name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import transformers
from transformers import CONFIG_MAPPING
from transformers.utils import cached_file

from harness.config import ModelSettings
from harness.errors import ModelError
from harness.models.locate import Place

WEIGHTS = ("*.safetensors", "*.safetensors.index.json")
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle")
"""Endings of files of weights that are pickles: to unpack one is to run what stands in it."""


def require_trust(place: Place, settings: ModelSettings) -> None:
    """Make sure that nothing of a checkpoint runs, or that the settings allow it.

    Python that comes with a checkpoint is refused only where transformers has no class of its own to use instead.

    Raises:
        ModelError: the checkpoint brings Python, or weights in a pickle alone.
    """
    foreign = tuple(_find_python(place, settings))
    if foreign and not settings.trust_remote_code:
        raise ModelError(
            f'The checkpoint "{settings.name}" brings Python of its own ({"; ".join(foreign)}).',
            why="It would run here, and could do all that you can do.",
            fix="Use a checkpoint of a kind that transformers knows. If you have read that code, pin model.revision, "
            "and set model.trust_remote_code = true.",
        )
    if not settings.allow_pickle and (pickled := _find_pickles(Path(place.path))):
        raise ModelError(
            f'The checkpoint "{settings.name}" has its weights in {", ".join(pickled)} and not in safetensors.',
            why="That is a pickle: to unpack one can run what stands in it.",
            fix="Save it anew with save_pretrained. If you know where it comes from, set model.allow_pickle = true; "
            "torch then unpacks nothing but tensors.",
        )


def _find_python(place: Place, settings: ModelSettings) -> Iterator[str]:
    """The places where a checkpoint names classes that only its own Python has."""
    config = _read(place, settings, "config.json")
    if config.get("auto_map") and config.get("model_type") not in CONFIG_MAPPING:
        yield f"auto_map in config.json: {config['auto_map']!r:.200}"
    rules = _read(place, settings, "tokenizer_config.json")
    if rules.get("auto_map") and not hasattr(transformers, str(rules.get("tokenizer_class"))):
        yield f"auto_map in tokenizer_config.json: {rules['auto_map']!r:.200}"


def _read(place: Place, settings: ModelSettings, name: str) -> dict[str, Any]:
    """A JSON file of a checkpoint; nothing where there is none that can be read: loading says why."""
    try:
        path = cached_file(place.path, name, revision=settings.revision, local_files_only=place.local)
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _find_pickles(folder: Path) -> list[str]:
    """The pickled weights of a folder that has no others."""
    if any(any(folder.glob(pattern)) for pattern in WEIGHTS):
        return []
    return sorted(path.name for pattern in PICKLES for path in folder.glob(pattern))
