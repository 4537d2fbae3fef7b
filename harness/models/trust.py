"""What of a checkpoint could run code when it is read, or would never be read to its end."""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import transformers
from huggingface_hub import HfApi
from transformers import CONFIG_MAPPING
from transformers.utils import cached_file

from harness.config import ModelSettings
from harness.errors import ModelError
from harness.models.locate import PICKLED_WEIGHTS, SAFE_WEIGHTS, Place, find_cached
from harness.places import is_own_file

SAFE = ("*.safetensors", "*.safetensors.index.json")
"""Endings of files of weights that run nothing."""
INDEXES = (*SAFE_WEIGHTS.values(), *PICKLED_WEIGHTS.values())
ADAPTER = "adapter_config.json"
ELSEWHERE = ("configuration_files", "transformers_weights")
"""By what a config names another config, and other weights."""
COUNTS = re.compile("layer|^(num|n)_.*(block|expert)")
"""What of a config says how many parts a model has."""
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle")
"""Endings of files of weights that are pickles: to unpack one is to run what stands in it."""
MOST_LAYERS = 1_000
"""Of the models that there are, none has more than a few hundred."""


def require_trust(place: Place, settings: ModelSettings) -> None:
    """Make sure that nothing of a checkpoint runs, or that the settings allow it.

    Python that comes with a checkpoint is refused only where transformers has no class of its own to use instead.

    Raises:
        ModelError: the checkpoint brings Python, native code, an adapter, weights in a pickle alone or elsewhere, or
            more layers than anything has.
    """
    config = _read(place, settings, "config.json")
    _require_here(config, settings.name)
    _require_layers(config, settings.name)
    _require_no_kernel(config, settings.name)
    _require_no_adapter(place, settings)
    _require_own_files(place, settings)
    foreign = tuple(_find_python(config, _read(place, settings, "tokenizer_config.json")))
    if foreign and not settings.trust_remote_code:
        raise ModelError(
            f'The checkpoint "{settings.name}" brings Python of its own ({"; ".join(foreign)}).',
            why="It would run here, and could do all that you can do.",
            fix="Use a checkpoint of a kind that transformers knows. If you have read that code, pin model.revision, "
            "and set model.trust_remote_code = true.",
        )
    if not settings.allow_pickle and (pickled := _find_pickles(_list_files(place, settings))):
        raise ModelError(
            f'The checkpoint "{settings.name}" has its weights in {", ".join(pickled)} and not in safetensors.',
            why="That is a pickle: to unpack one can run what stands in it.",
            fix="Save it anew with save_pretrained. If you know where it comes from, set model.allow_pickle = true; "
            "torch then unpacks nothing but tensors.",
        )


def _walk(config: object) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value of a config that has no parts, with the names that lead to it; however deep they are."""
    waiting: list[tuple[tuple[str, ...], Any]] = [((), config)]
    while waiting:
        names, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [((*names, str(name)), part) for name, part in value.items()]
        elif isinstance(value, list):
            waiting += [(names, part) for part in value]
        else:
            yield names, value


def _require_here(config: Mapping[str, Any], name: str) -> None:
    """What is looked at is what is used: a config may name another one, or other weights."""
    for key in ELSEWHERE:
        if config.get(key):
            raise ModelError(
                f'The config of "{name}" leads to other files: {key} = {config[key]!r:.200}.',
                why="They would be used in place of those that were looked at.",
                fix="Load it in a program of your own that trusts it, and save it anew with save_pretrained.",
            )


def _require_layers(config: Mapping[str, Any], name: str) -> None:
    """Layers are made one by one, before any weight is looked at."""
    for names, value in _walk(config):
        if COUNTS.search(key := names[-1] if names else "") and isinstance(value, int) and value > MOST_LAYERS:
            raise ModelError(
                f'The config of "{name}" says {key} = {value}; no more than {MOST_LAYERS:,} layers are made.',
                why="To make them would take longer than anybody waits.",
                fix="Restore config.json as it came with the weights.",
            )


def _require_no_kernel(config: Mapping[str, Any], name: str) -> None:
    """A kernel is compiled code of the hub, which transformers fetches and runs where a config asks for it."""
    for names, value in _walk(config):
        key = next((name for name in names if "attn_implementation" in name or "experts_implementation" in name), "")
        if key and isinstance(value, str) and "/" in value:
            raise ModelError(
                f'The config of "{name}" asks for code of the hub: {key} = {value!r:.200}.',
                why="It would be fetched, and could do all that you can do; no setting allows it.",
                fix="Take that line out of config.json; transformers then chooses among its own.",
            )


def _require_no_adapter(place: Place, settings: ModelSettings) -> None:
    """Where one lies beside the weights, transformers puts it on the base by itself, by PEFT and in any format."""
    if _find(place, settings, ADAPTER) is not None:
        raise ModelError(
            f'The checkpoint "{settings.name}" holds an adapter ({ADAPTER}) beside its weights.',
            why="It would be put on the base unseen: what is called the base would be another model, and reading an "
            "adapter can run what its settings name.",
            fix="Take the adapter's files out; or put it on its base for good in a program of your own that trusts it: "
            "PeftModel.from_pretrained(base, folder).merge_and_unload(), and save_pretrained.",
        )


def _require_own_files(place: Place, settings: ModelSettings) -> None:
    """An index names the files of the weights: these are files of the checkpoint, and no pickles unless allowed."""
    for index in INDEXES:
        listed = _read(place, settings, index).get("weight_map")
        for name in listed.values() if isinstance(listed, dict) else ():
            if not is_own_file(name) or (index == INDEXES[0] and not name.endswith(".safetensors")):
                raise ModelError(
                    f'The checkpoint "{settings.name}" has weights in {name!r:.200}, says {index}.',
                    why="Weights are read from files of the checkpoint alone, and those of this index are safetensors.",
                    fix="Save it anew with save_pretrained.",
                )


def _find_python(config: Mapping[str, Any], rules: Mapping[str, Any]) -> Iterator[str]:
    """The places where a checkpoint names classes that only its own Python has."""
    if config.get("auto_map") and config.get("model_type") not in CONFIG_MAPPING:
        yield f"auto_map in config.json: {config['auto_map']!r:.200}"
    if rules.get("auto_map") and not hasattr(transformers, str(rules.get("tokenizer_class"))):
        yield f"auto_map in tokenizer_config.json: {rules['auto_map']!r:.200}"


def _read(place: Place, settings: ModelSettings, name: str) -> dict[str, Any]:
    """A JSON file of a checkpoint; nothing where there is none that can be read: loading says why."""
    path = _find(place, settings, name)
    try:
        content = {} if path is None else json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _find(place: Place, settings: ModelSettings, name: str) -> Path | None:
    """A file of a checkpoint, in its folder or from the hub; nothing where there is none."""
    try:
        found = cached_file(place.path, name, revision=settings.revision, local_files_only=place.local)
    except (OSError, ValueError):
        return None
    return None if found is None else Path(found)


def _list_files(place: Place, settings: ModelSettings) -> list[str]:
    """The names of a checkpoint's files, or of those that were fetched; none where they are not to be had."""
    folder = Path(place.path)
    if place.local and not folder.is_dir() and (config := find_cached(settings, "config.json")):
        folder = config.parent
    try:
        if place.local:
            return [path.name for path in folder.iterdir()]
        return HfApi().list_repo_files(place.path, revision=settings.revision)
    except Exception:  # noqa: BLE001 - its errors are those of two HTTP libraries; loading says why
        return []


def _find_pickles(names: Sequence[str]) -> list[str]:
    """The pickled weights among files, where there are no others; those in folders of their own are not read."""
    here = [name for name in names if "/" not in name]
    if any(fnmatch.filter(here, pattern) for pattern in SAFE):
        return []
    return sorted(name for pattern in PICKLES for name in fnmatch.filter(here, pattern))
