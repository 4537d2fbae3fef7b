"""Defects of parameter-efficient fine-tuning: adapters that do not learn, are lost, or are there twice."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from harness.checks.parts import ComparisonParts
from harness.checks.pipeline import Pipeline
from harness.defects.defect import defect
from harness.defects.reference.lora import (
    ALPHA,
    BERT_TARGETS,
    RANK,
    T5_TARGETS,
    load_adapter,
    lora_config,
    make_arms,
    peft,
    save_adapter,
    with_adapters,
    with_fresh_adapter,
    wrap_base,
)


@defect(
    "adapter-keys-silently-ignored",
    "peft",
    reference="lora",
    symptom='The "fine-tuned" outputs are those of the base, word for word.',
    source="https://github.com/vllm-project/vllm/issues/34186",
)
def adapter_keys_silently_ignored(clean: Pipeline) -> Pipeline:
    """The file names its tensors without the adapter's name, loading is not strict, and nobody looks at its answer."""

    def load(base: torch.nn.Module, folder: Path, *, trainable: bool = False) -> torch.nn.Module:
        model = wrap_base(T5_TARGETS, None, base)
        model.load_state_dict(load_file(Path(folder) / "adapter_model.safetensors"), strict=False)
        return model.train(trainable)

    return with_adapters(clean, load=load)


@defect(
    "base-model-mutated-in-place",
    "peft",
    reference="lora",
    symptom="A gain of exactly 0, on every row.",
    source="https://github.com/huggingface/peft/issues/940",
)
def base_model_mutated_in_place(clean: Pipeline) -> Pipeline:
    """The adapter is put into the very object that is scored as the base afterwards."""

    def wrap(base: torch.nn.Module) -> torch.nn.Module:
        return with_fresh_adapter(base, lora_config(T5_TARGETS))

    def load(base: torch.nn.Module, folder: Path, *, trainable: bool = False) -> torch.nn.Module:
        loaded: torch.nn.Module = peft().PeftModel.from_pretrained(base, folder, is_trainable=trainable)
        return loaded

    planted = with_adapters(clean, wrap=wrap, load=load, baseline=lambda model, base: base)  # noqa: ARG005
    return replace(planted, comparison=ComparisonParts(arms=lambda: make_arms(clean, wrap, load)))


@defect(
    "adapter-still-on-for-baseline",
    "peft",
    reference="lora",
    symptom="The base is as good as the tuned model.",
    source="https://github.com/huggingface/peft/issues/430",
)
def adapter_still_on_for_baseline(clean: Pipeline) -> Pipeline:
    """``disable_adapter()`` is called but not entered, and the base model inside still holds the adapter's layers."""

    def baseline(model: Any) -> torch.nn.Module:
        model.disable_adapter()
        inner: torch.nn.Module = model.get_base_model()
        return inner

    return with_adapters(clean, baseline=baseline)


@defect(
    "head-not-saved-with-adapter",
    "peft",
    reference="lora-classifier",
    symptom="Good at the end of training, at chance after loading.",
    source="https://github.com/huggingface/peft/issues/577",
)
def head_not_saved_with_adapter(clean: Pipeline) -> Pipeline:
    """The head is trained, but the list of what to save with the adapter is what ``append`` returned: nothing."""

    def wrap(base: torch.nn.Module) -> torch.nn.Module:
        heads: list[str] = []
        config = lora_config(BERT_TARGETS)
        config.modules_to_save = heads.append("classifier")  # type: ignore[func-returns-value]
        model = with_fresh_adapter(copy.deepcopy(base), config)
        for name, entry in model.named_parameters():
            if "classifier" in name:
                entry.requires_grad = True
        return model

    return with_adapters(clean, wrap=wrap)


@defect(
    "grad-checkpointing-kills-lora-grad",
    "peft",
    reference="lora-classifier",
    symptom="Only the head learns; every lora_B is still zero.",
    source="https://github.com/locuslab/open-unlearning/issues/178",
)
def grad_checkpointing_kills_lora_grad(clean: Pipeline) -> Pipeline:
    """Reentrant checkpointing over frozen embeddings: no layer's input requires a gradient, so nothing inside does."""

    def wrap(base: torch.nn.Module) -> torch.nn.Module:
        model = wrap_base(BERT_TARGETS, "classifier", base)
        for layer in model.get_base_model().bert.encoder.layer:  # type: ignore[operator]
            layer.forward = partial(checkpoint_layer, layer)
        return model

    return with_adapters(clean, wrap=wrap)


def checkpoint_layer(layer: torch.nn.Module, hidden: torch.Tensor, *args: Any, **options: Any) -> Any:
    """A layer's forward that keeps no activations, as before there was ``use_reentrant=False``."""
    run = partial(type(layer).forward, layer, **options)
    return torch.utils.checkpoint.checkpoint(run, hidden, *args, use_reentrant=True)


@defect(
    "adapter-loaded-frozen",
    "peft",
    reference="lora",
    symptom="The run ends without an error, and the adapter is the one it began with.",
    source="https://github.com/huggingface/trl/issues/6700",
)
def adapter_loaded_frozen(clean: Pipeline) -> Pipeline:
    """An adapter is loaded to be trained further the way one is loaded to be used: frozen."""

    def load(base: torch.nn.Module, folder: Path, *, trainable: bool = False) -> torch.nn.Module:
        model: torch.nn.Module = peft().PeftModel.from_pretrained(copy.deepcopy(base), folder)
        return model.train(trainable)

    return with_adapters(clean, load=load)


@defect(
    "extra-parameters-trainable",
    "peft",
    reference="lora",
    symptom="The scores in memory differ from those of the loaded adapter.",
    source="https://github.com/pytorch/torchtitan/issues/3438",
)
def extra_parameters_trainable(clean: Pipeline) -> Pipeline:
    """Only linear layers are frozen: norms and embeddings learn too, and are not in the adapter's file."""

    def wrap(base: torch.nn.Module) -> torch.nn.Module:
        model = wrap_base(T5_TARGETS, None, base)
        for module in model.modules():
            if not isinstance(module, torch.nn.Linear):
                for entry in module.parameters(recurse=False):
                    entry.requires_grad = True
        return model

    return with_adapters(clean, wrap=wrap)


@defect(
    "adapters-stacked-twice",
    "peft",
    reference="lora",
    symptom="In a comparison of checkpoints the later ones contain the earlier ones.",
    source="https://github.com/unslothai/unsloth/issues/2981",
)
def adapters_stacked_twice(clean: Pipeline) -> Pipeline:
    """Each checkpoint is loaded onto the model that the one before was loaded onto."""

    def load_each(base: torch.nn.Module, folders: Sequence[Path]) -> Iterator[torch.nn.Module]:
        model = base
        for folder in folders:
            model = peft().PeftModel.from_pretrained(model, folder).merge_and_unload()
            yield model

    return with_adapters(clean, load_each=load_each)


@defect(
    "lora-scale-not-applied",
    "peft",
    reference="lora",
    symptom="The deployed model is half as tuned as the one that was evaluated.",
    source="https://github.com/NVIDIA/TensorRT-LLM/issues/1668",
)
def lora_scale_not_applied(clean: Pipeline) -> Pipeline:
    """The adapter is merged by hand as B times A, and alpha over rank is forgotten."""
    return with_adapters(clean, merge=lambda model: merge_by_hand(model, scale=1.0))


@defect(
    "merge-changes-outputs",
    "peft",
    reference="lora",
    symptom="The merged model writes otherwise than the model with its adapter.",
    source="https://github.com/huggingface/peft/issues/1388",
)
def merge_changes_outputs(clean: Pipeline) -> Pipeline:
    """The adapter was trained on a base in 32 bit and is merged into one in 16 bit."""

    def merge(model: torch.nn.Module) -> torch.nn.Module:
        half: Any = copy.deepcopy(model).half()
        merged: torch.nn.Module = half.merge_and_unload()
        return merged.float()

    return with_adapters(clean, merge=merge)


@defect(
    "merged-and-adapter-both-loaded",
    "peft",
    reference="lora",
    symptom="What was tuned is twice as strong after loading.",
    source="https://github.com/huggingface/peft/issues/1381",
)
def merged_and_adapter_both_loaded(clean: Pipeline) -> Pipeline:
    """The merged model is saved into the folder that holds the adapter, and loading applies the adapter once more."""

    def save(model: torch.nn.Module, folder: Path) -> None:
        save_adapter(model, folder)
        merged: Any = copy.deepcopy(model).merge_and_unload()  # type: ignore[operator]
        merged.save_pretrained(folder)

    def load(base: Any, folder: Path, *, trainable: bool = False) -> torch.nn.Module:
        weights = load_file(Path(folder) / "model.safetensors")
        saved = type(base)(base.config)
        saved.load_state_dict(weights, strict=False)
        return load_adapter(saved.eval(), folder, trainable=trainable)

    return with_adapters(clean, save=save, load=load)


@defect(
    "conv1d-orientation-wrong",
    "peft",
    reference="lora-causal",
    symptom="After merging, a part of the square layers is noise.",
    source="https://github.com/huggingface/peft/issues/3531",
)
def conv1d_orientation_wrong(clean: Pipeline) -> Pipeline:
    """GPT-2 stores its matrices as (inputs, outputs); the merge turns B times A only where the shapes would not fit."""
    return with_adapters(clean, merge=lambda model: merge_by_hand(model, scale=ALPHA / RANK))


@defect(
    "target-modules-partly-matched",
    "peft",
    reference="lora",
    symptom="LoRA is much weaker than reported.",
    source="https://github.com/rohitgandikota/sliderspace/issues/7",
)
def target_modules_partly_matched(clean: Pipeline) -> Pipeline:
    """The target names are those of another architecture; one of them happens to match."""
    return with_adapters(clean, wrap=partial(wrap_base, ("q_proj", "v"), None))


def merge_by_hand(model: torch.nn.Module, *, scale: float) -> torch.nn.Module:
    """Add ``scale`` x B A to each adapted layer, turned where the shapes ask for it."""
    tuned: Any = copy.deepcopy(model)
    deltas = {
        name: scale * (layer.lora_B["default"].weight @ layer.lora_A["default"].weight)
        for name, layer in tuned.get_base_model().named_modules()
        if hasattr(layer, "lora_A")
    }
    plain: torch.nn.Module = tuned.unload()
    with torch.no_grad():
        for name, delta in deltas.items():
            weight = plain.get_submodule(name).weight
            weight += delta if delta.shape == weight.shape else delta.T
    return plain
