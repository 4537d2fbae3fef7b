"""Checks of adapters on honest pipelines of several styles, and on bugs that no catalogue lists."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch

from harness.checks import adapters, contrast, merging
from harness.checks.adapter_run import difference, find_own, site_of
from harness.checks.check import Check, Result, Status
from harness.checks.pipeline import Declared, Pipeline
from harness.checks.report import AuditReport
from harness.checks.suite import audit
from harness.defects.reference import causal, lora
from harness.errors import UsageError
from tests.checks.adapter_libraries import (
    OWN_LIBRARY,
    WITH_TRAINER,
    load_adapters,
    merge_adapters,
)

CHECKS = tuple(
    value for module in (adapters, merging, contrast) for value in vars(module).values() if isinstance(value, Check)
)


def run(pipeline: Pipeline, seed: int = 0) -> AuditReport:
    return audit(pipeline, checks=CHECKS, seed=seed)


def failures(pipeline: Pipeline) -> dict[str, Result]:
    return {result.check.name: result for result in run(pipeline).bad}


@pytest.mark.parametrize(
    ("pipeline", "seed"),
    [(lora.SEQ2SEQ, 0), *((pipeline, seed) for pipeline in (lora.CAUSAL, lora.CLASSIFIER) for seed in range(3))],
    ids=lambda value: getattr(value, "name", value),
)
def test_clean_lora_pipelines_pass_every_check(pipeline: Pipeline, seed: int) -> None:
    """Encoder-decoder, Conv1D layers and a head saved with the adapter: nothing fails, nothing is skipped."""
    assert set(run(pipeline, seed).counts) == {Status.PASSED}


@pytest.mark.parametrize("pipeline", [OWN_LIBRARY, WITH_TRAINER], ids=lambda one: one.name)
def test_honest_pipelines_of_other_styles_pass_every_check(pipeline: Pipeline) -> None:
    """An adapter library of one's own, and PEFT put into the base itself and trained in place with a tiny rate."""
    assert set(run(pipeline).counts) == {Status.PASSED}


def configured(pipeline: Pipeline, make_config: Callable[[], Any], **parts: Any) -> Pipeline:
    def wrap(base: torch.nn.Module) -> torch.nn.Module:
        return lora.with_fresh_adapter(copy.deepcopy(base), make_config())

    return lora.with_adapters(pipeline, wrap=wrap, **parts)


def load_for_use(base: torch.nn.Module, folder: Any) -> torch.nn.Module:
    return lora.load_adapter(base, folder)


@pytest.mark.parametrize(
    "pipeline",
    [
        configured(lora.CAUSAL, lambda: lora.peft().LoraConfig(r=4, use_dora=True, target_modules=["attn.c_attn"])),
        configured(lora.CAUSAL, lambda: lora.peft().VeraConfig(r=8, target_modules=["attn.c_proj"])),
        configured(lora.CLASSIFIER, lambda: lora.peft().LoraConfig(target_modules="all-linear", task_type="SEQ_CLS")),
        configured(lora.CAUSAL, lambda: lora.peft().PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4),
                   merge=None, load=load_for_use),
        configured(lora.SEQ2SEQ, lambda: lora.peft().IA3Config(target_modules=["k", "wo"], feedforward_modules=["wo"])),
    ],
    ids=["dora", "vera", "all linear", "prompt tuning", "ia3"],
)  # fmt: skip
def test_other_methods_of_peft_pass(pipeline: Pipeline) -> None:
    """The checks know nothing of LoRA: whatever adds tensors and learns them is fine."""
    assert not failures(pipeline)


def test_one_half_of_an_encoder_decoder_passes_where_it_is_declared() -> None:
    """Who says which parameters are meant to move is not asked why."""
    targets = ("decoder.block.1.layer.0.SelfAttention.q",)
    half = lora.with_adapters(lora.SEQ2SEQ, wrap=partial(lora.wrap_base, targets, None))
    declared = replace(half, declared=Declared(trainable=(r"decoder.*lora_",)))
    only = [one for one in CHECKS if one.name == "adapter-reaches-its-layers"]
    assert [audit(one, checks=only).results[0].status for one in (half, declared)] == [Status.FAILED, Status.PASSED]


def bias_learns_too(base: torch.nn.Module) -> torch.nn.Module:
    model = lora.wrap_base(lora.GPT2_TARGETS, None, base)
    for name, entry in model.named_parameters():
        if name.endswith("ln_1.weight"):
            entry.requires_grad = True
    return model


def adapter_left_out_of_the_optimizer(model: torch.nn.Module, rows: list[Any]) -> torch.nn.Module:
    optimizer = torch.optim.SGD([entry for name, entry in model.named_parameters() if "lm_head" in name], lr=0.1)
    for _ in range(2):
        model.train()(**causal.PIPELINE.collate(causal.PIPELINE.encode(rows[:4]))).loss.backward()
        optimizer.step()
    return model


def one_factor_in_the_optimizer(model: torch.nn.Module, rows: list[Any]) -> torch.nn.Module:
    optimizer = torch.optim.AdamW([entry for name, entry in model.named_parameters() if name.endswith("down")], lr=0.1)
    for _ in range(2):
        model.train()(**causal.PIPELINE.collate(causal.PIPELINE.encode(rows[:4]))).loss.backward()
        optimizer.step()
    return model


def frozen(model: torch.nn.Module) -> torch.nn.Module:
    return model.requires_grad_(requires_grad=False)


def load_half(base: torch.nn.Module, folder: Any) -> torch.nn.Module:
    model = load_adapters(base, folder)
    for name, entry in model.named_parameters():
        if ".1." in name and name.endswith(".up"):
            entry.data.zero_()
    return model


def load_onto_another(_: torch.nn.Module, folder: Any) -> torch.nn.Module:
    return lora.load_adapter(lora.CAUSAL.make_model(seed=1), folder)


def loaded_in_a_list(base: torch.nn.Module, folders: list[Any]) -> list[torch.nn.Module]:
    model = lora.load_adapter(base, folders[0])
    for folder in folders[1:]:
        model.load_adapter(folder, "default")
    return [model] * len(folders)


UNLISTED: dict[str, tuple[Pipeline, str, str]] = {
    "merged twice": (
        lora.with_adapters(OWN_LIBRARY, merge=partial(merge_adapters, times=2)),
        "merged-adapter-gives-the-same-logits", "lora-scale-not-applied",
    ),
    "merged without the adapter": (
        lora.with_adapters(lora.CAUSAL, merge=lambda model: copy.deepcopy(model).unload()),
        "merged-adapter-gives-the-same-logits", "merge-changes-outputs",
    ),
    "loaded with another scale": (
        lora.with_adapters(OWN_LIBRARY, load=partial(load_adapters, scale=1.0)),
        "saved-adapter-gives-the-same-logits", "lora-scale-not-applied",
    ),
    "half of the keys lost": (
        lora.with_adapters(OWN_LIBRARY, load=load_half),
        "saved-adapter-gives-the-same-logits", "adapter-keys-silently-ignored",
    ),
    "loaded onto another base": (
        lora.with_adapters(lora.CAUSAL, load=load_onto_another),
        "saved-adapter-gives-the-same-logits", "merge-changes-outputs",
    ),
    "not in the optimizer": (
        replace(OWN_LIBRARY, train=adapter_left_out_of_the_optimizer), "adapter-learns", "adapter-loaded-frozen",
    ),
    "one factor in the optimizer": (
        replace(OWN_LIBRARY, train=one_factor_in_the_optimizer), "adapter-learns", "adapter-loaded-frozen",
    ),
    "frozen after wrapping": (
        lora.with_adapters(OWN_LIBRARY, wrap=lambda base: frozen(OWN_LIBRARY.adapters.wrap(base))),
        "adapter-learns", "adapter-loaded-frozen",
    ),
    "the model from before training is returned": (
        replace(lora.CAUSAL, train=lambda model, rows: (lora.CAUSAL.train(model, rows, epochs=1), model)[1]),
        "adapter-learns", "adapter-loaded-frozen",
    ),
    "a list of one model": (
        lora.with_adapters(lora.CAUSAL, load_each=loaded_in_a_list),
        "adapters-compared-in-turn-equal-each-alone", "adapters-stacked-twice",
    ),
    "a norm of GPT-2 learns": (
        lora.with_adapters(lora.CAUSAL, wrap=bias_learns_too),
        "adapter-alone-is-trained", "extra-parameters-trainable",
    ),
    "no layer found by a library without errors": (
        lora.with_adapters(OWN_LIBRARY, wrap=lambda base: frozen(copy.deepcopy(base))),
        "adapter-reaches-its-layers", "target-modules-partly-matched",
    ),
    "a declared pattern that matches nothing": (
        replace(OWN_LIBRARY, declared=Declared(trainable=("q_proj", "fc_in"))),
        "adapter-reaches-its-layers", "target-modules-partly-matched",
    ),
}  # fmt: skip


@pytest.mark.parametrize("bug", UNLISTED)
def test_bugs_that_no_catalogue_lists_are_caught_and_named(bug: str) -> None:
    """A bug of the same kind as a listed one, planted otherwise and in another library, fails the right check."""
    pipeline, check, suspect = UNLISTED[bug]
    (result,) = audit(pipeline, checks=[one for one in CHECKS if one.name == check]).results
    assert result.status is Status.FAILED, str(result)
    assert result.suspects[0] == suspect


def test_a_wrap_that_returns_no_model_is_an_error_that_says_so() -> None:
    """The message names the part and what is expected."""
    result = failures(lora.with_adapters(lora.CAUSAL, wrap=lambda base: None))["adapter-reaches-its-layers"]
    assert result.status is Status.ERROR
    assert result.seen == "adapters.wrap returned a NoneType; expected a torch module."


def test_without_peft_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """No traceback of an import, but what to do."""
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(UsageError, match="pip install peft"):
        lora.peft()


def test_the_parameters_of_the_base_are_found_in_any_wrapper() -> None:
    """Own parameters keep their partner, a second trainable copy of the head is an addition."""
    base = lora.CLASSIFIER.make_model()
    wrapped = lora.CLASSIFIER.adapters.wrap(base).get_base_model()
    entries = dict(wrapped.named_parameters())
    own = find_own(dict(base.named_parameters()), entries)
    assert sorted(own.values()) == sorted(dict(base.named_parameters()))
    assert {name.split(".")[-3] for name in set(entries) - set(own)} == {"lora_A", "lora_B", "modules_to_save"}
    assert site_of("bert.encoder.layer.0.output.x.y", {"bert", "bert.encoder.layer.0.output"}).endswith("output")


def test_logits_of_another_shape_or_not_finite_differ_infinitely() -> None:
    """What cannot be compared is never equal."""
    ones = torch.ones(3)
    assert difference(ones, ones) == 0.0
    assert difference(torch.ones(4), ones) == float("inf")
    assert difference(torch.full((3,), float("nan")), ones) == float("inf")
