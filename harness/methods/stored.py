"""An adapter apart from its model: what is kept of each task where several share a base."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from peft import PeftConfig, PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from peft.mapping import PEFT_TYPE_TO_PREFIX_MAPPING as PREFIXES
from safetensors.torch import load_file
from transformers import PreTrainedModel

import harness.methods.bottleneck  # noqa: F401 - PEFT knows bottlenecks once this is imported
from harness.errors import ModelError
from harness.fingerprint import hash_tensors
from harness.methods.bottleneck.config import NAME as BOTTLENECK
from harness.methods.patterns import require_quick_patterns

BASE = "base.json"
"""The file beside an adapter that says on which base it was trained."""
WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
TYPES = ("LORA", BOTTLENECK, "PROMPT_TUNING", "PREFIX_TUNING")
"""The types of adapters that are written and read here, in PEFT's words."""
UNDER = "base_model.model."
"""What PEFT puts before the names of the base."""


@dataclass(frozen=True, kw_only=True)
class StoredAdapter:
    """An adapter and the head that was trained with it.

    Args:
        config: PEFT's settings of it.
        weights: PEFT's names to the tensors, heads included; on the CPU, shared with no model.
    """

    config: PeftConfig
    weights: Mapping[str, torch.Tensor]

    @classmethod
    def of(cls, model: PeftModel) -> StoredAdapter:
        """The adapter that is on in a model; the model may change afterwards."""
        name = model.active_adapter
        weights = get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False)
        return cls(
            config=copy.deepcopy(model.peft_config[name]),
            weights={key: tensor.detach().cpu().clone().contiguous() for key, tensor in weights.items()},
        )

    @classmethod
    def read(cls, folder: Path, *, base: str) -> StoredAdapter:
        """The adapter that `save` wrote.

        Args:
            folder: where it is.
            base: SHA-256 of the base that it is to stand on, as `hash_base` gives it.

        Raises:
            ModelError: there is none, it was trained on another base, or its settings are hostile.
        """
        if not (folder / WEIGHTS).is_file() and (pickled := [*folder.glob("adapter_model.*")]):
            raise ModelError(
                f"The adapter in {folder} has its weights in {pickled[0].name} and not in {WEIGHTS}.",
                why="That may be a pickle, and to unpack one can run what stands in it; no setting allows it, for the "
                "harness writes none.",
                fix="Load it in a program of your own that trusts it, and save it anew with save_pretrained.",
            )
        try:
            known = json.loads((folder / BASE).read_text(encoding="utf-8"))["sha256"]
            _require_own_type(folder)
            config = PeftConfig.from_pretrained(str(folder))
            weights = load_file(folder / WEIGHTS)
        except ModelError:
            raise
        except Exception as error:  # damaged files fail in every way there is
            raise ModelError(
                f"{folder} holds no adapter that can be used: {type(error).__name__}: {error}.",
                why=f"Beside adapter_config.json and adapter_model.safetensors it needs {BASE}, which says on which "
                "base the adapter was trained: on another one it means nothing.",
                fix="Give a folder that a run with adapters wrote.",
            ) from error
        _require_nothing_else(config, folder)
        require_quick_patterns(config, folder)
        if known != base:
            raise ModelError(
                f"The adapter in {folder} was trained on another base: sha256 {str(known)[:8]}…, and this one is "
                f"{base[:8]}….",
                why="It is a change of that base's weights, and makes noise of others.",
                fix="Set model.name to the base that it was trained on, or train an adapter for this one.",
            )
        return cls(config=config, weights=weights)

    def save(self, folder: Path, model: PreTrainedModel, *, base: str) -> None:
        """Write a folder that plain PEFT loads, with the hash of the base beside.

        Args:
            folder: where to; it is made.
            model: a model that the adapter fits.
            base: SHA-256 of the base's weights.
        """
        self.put_on(model).save_pretrained(str(folder), save_embedding_layers=False)
        write_base(folder, base)

    def put_on(self, model: PreTrainedModel, *, trainable: bool = False) -> PeftModel:
        """A copy of a model with the adapter, and its head, on it.

        Args:
            model: the base, with a head of the right shape.
            trainable: whether it is to learn on.
        """
        wrapped = self.add_to(copy.deepcopy(model), "default", trainable=trainable)
        return wrapped if trainable else wrapped.eval()

    def add_to(self, model: PreTrainedModel | PeftModel, name: str, *, trainable: bool = False) -> PeftModel:
        """Put the adapter into this very model, as one of several where there are others.

        Args:
            model: changed in place.
            name: what PEFT is to call the adapter.
            trainable: whether it is to learn on.

        Raises:
            ModelError: it does not fit.
        """
        config = copy.deepcopy(self.config)
        config.inference_mode = not trainable
        try:
            with torch.random.fork_rng(devices=[]):
                if isinstance(model, PeftModel):
                    model.add_adapter(name, config)
                else:
                    model = PeftModel(model, config, adapter_name=name)
            set_peft_model_state_dict(model, dict(self.weights), adapter_name=name)
        except Exception as error:  # damaged files fail in every way there is
            raise ModelError(
                f"The adapter cannot be put on its base: {type(error).__name__}: {error}.",
                why="Its settings, or the shapes of its weights, are not those that it was trained with.",
                fix="Restore its folder, or train it anew.",
            ) from error
        return model

    @property
    def head(self) -> dict[str, torch.Tensor]:
        """The weights of the head by their names in the plain model; none where a model writes text."""
        return {key.removeprefix(UNDER): tensor for key, tensor in self.weights.items() if not self._changes(key)}

    def without_head(self) -> StoredAdapter:
        """The adapter alone, which fits the body under any head."""
        config = copy.deepcopy(self.config)
        config.modules_to_save = None
        return StoredAdapter(
            config=config, weights={key: tensor for key, tensor in self.weights.items() if self._changes(key)}
        )

    def scaled(self, part: str, factor: float) -> StoredAdapter:
        """The same with the weights of one part times a factor; where that part is its last layer, so is its change."""
        return replace(
            self, weights={key: entry * factor if part in key else entry for key, entry in self.weights.items()}
        )

    def _changes(self, key: str) -> bool:
        """Whether a weight belongs to the adapter proper."""
        return any(part.startswith(PREFIXES[self.config.peft_type]) for part in key.split("."))


def _require_own_type(folder: Path) -> None:
    """Other types of PEFT read further checkpoints and pickles as soon as they are put on a model."""
    kind = json.loads((folder / CONFIG).read_text(encoding="utf-8")).get("peft_type")
    if kind not in TYPES:
        raise ModelError(
            f"The adapter in {folder} is of the type {kind!r:.100}.",
            why="Its settings may name other files, which would be read unlooked at.",
            fix=f"Give one that a run of the harness wrote: {', '.join(TYPES)}.",
        )


def _require_nothing_else(config: PeftConfig, folder: Path) -> None:
    """What PEFT would read or run beside the weights: a tokenizer, and a module, which before 0.21 may be any."""
    if getattr(config, "tokenizer_name_or_path", None):
        raise ModelError(
            f"The adapter in {folder} begins with the words of {config.tokenizer_name_or_path!r:.100}.",
            why="A tokenizer would be read from there unlooked at; the weights are stored, so nothing of it is needed.",
            fix="Take prompt_tuning_init and tokenizer_name_or_path out of adapter_config.json.",
        )
    if getattr(config, "megatron_config", None):
        raise ModelError(
            f"The adapter in {folder} is one for Megatron: megatron_core = {config.megatron_core!r:.100}.",
            why="That module would be imported, and so run; no setting allows it, for no model here is Megatron's.",
            fix="Take megatron_config out of adapter_config.json, or train the adapter anew.",
        )


def write_base(folder: Path, base: str) -> None:
    """Say beside an adapter on which base it was trained, as `hash_base` gives it."""
    (folder / BASE).write_text(json.dumps({"sha256": base}) + "\n", encoding="utf-8")


def hash_base(model: PreTrainedModel, heads: list[str]) -> str:
    """SHA-256 of the weights that an adapter stands on: all but the heads, which are saved with it.

    Args:
        model: a plain model.
        heads: the ends of the names of its heads' modules, as `find_heads` gives them.
    """
    entries = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return hash_tensors({name: entry for name, entry in entries.items() if not set(heads) & set(name.split("."))})
