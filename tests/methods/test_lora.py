"""LoRA means what its settings say."""

from __future__ import annotations

import copy

import pytest
import torch
from peft.tuners.lora import LoraLayer

from harness.errors import SettingsError
from tests.methods.adapted import PRESETS, excite, logits_of, wrap


def adapted_layers(model: torch.nn.Module) -> dict[str, LoraLayer]:
    return {name: module for name, module in model.named_modules() if isinstance(module, LoraLayer)}


@pytest.mark.parametrize("model", PRESETS)
def test_merged_and_unmerged_give_the_same_outputs(model: str) -> None:
    """A new adapter is the base, merging keeps the logits, unmerging gives them back, and off is the base."""
    base, wrapped = wrap("lora", model)
    assert torch.equal(logits_of(wrapped), logits_of(base))
    tuned = logits_of(excite(wrapped, "lora_B"))
    assert not torch.allclose(tuned, logits_of(base), atol=1e-3)
    with wrapped.disable_adapter():
        assert torch.equal(logits_of(wrapped), logits_of(base))
    torch.testing.assert_close(logits_of(copy.deepcopy(wrapped).merge_and_unload()), tuned, atol=1e-4, rtol=1e-4)
    wrapped.merge_adapter()
    wrapped.unmerge_adapter()
    torch.testing.assert_close(logits_of(wrapped), tuned, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("model", "targets", "ends"),
    [
        ("tiny-t5", "auto", {"q", "v"}),
        ("tiny-llama", "auto", {"q_proj", "v_proj"}),
        ("tiny-bert", "auto", {"query", "value"}),
        ("tiny-t5", "all-linear", {"q", "k", "v", "o", "wi", "wo"}),
        ("tiny-bert", "all-linear", {"query", "key", "value", "dense"}),
        ("tiny-llama", ["o_proj"], {"o_proj"}),
    ],
)
def test_targets_are_those_meant(model: str, targets: object, ends: set[str]) -> None:
    """Query and value, all linear layers but output and head, or those named: in every block."""
    _, wrapped = wrap("lora", model, **{"lora.targets": targets})
    layers = adapted_layers(wrapped)
    assert {name.rpartition(".")[2] for name in layers} == ends
    assert not [name for name in layers if "classifier" in name or "lm_head" in name]


def test_settings_reach_peft() -> None:
    """Rank, scale, dropout, rsLoRA and DoRA are those of the settings."""
    changes = {"rank": 4, "alpha": 6.0, "dropout": 0.25, "rslora": True, "dora": True}
    _, wrapped = wrap("lora", "tiny-llama", **{f"lora.{name}": value for name, value in changes.items()})
    layer = next(iter(adapted_layers(wrapped).values()))
    assert layer.lora_A["default"].weight.shape[0] == 4
    assert layer.scaling["default"] == pytest.approx(6 / 4**0.5)
    assert layer.lora_dropout["default"].p == 0.25
    assert layer.use_dora["default"]


def test_targets_that_no_layer_has_are_refused() -> None:
    """The message names the setting, and the layers there are."""
    with pytest.raises(SettingsError, match=r"lora\.targets .* q_proj"):
        wrap("lora", "tiny-llama", **{"lora.targets": ["nothing"]})


def test_seed_draws_the_adapter() -> None:
    """The same seed, the same adapter, whatever was drawn before; and the global state is left as it was."""
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    _, first = wrap("lora", "tiny-llama")
    assert torch.equal(torch.rand(1), expected)
    _, second = wrap("lora", "tiny-llama")
    assert all(torch.equal(one, two) for one, two in zip(first.parameters(), second.parameters(), strict=True))


@pytest.mark.parametrize("changes", [{"lora.rslora": True}, {"lora.dora": True}, {"lora.targets": "auto"}])
def test_variants_start_as_the_base_and_merge(changes: dict[str, object]) -> None:
    """New they are the base (DoRA up to the rounding of its lengths), off they are it to the bit, merged they stay."""
    base, wrapped = wrap("lora", "tiny-llama", **changes)
    torch.testing.assert_close(logits_of(wrapped), logits_of(base), atol=1e-5, rtol=1e-5)
    tuned = logits_of(excite(wrapped, "lora_B"))
    assert not torch.allclose(tuned, logits_of(base), atol=1e-2)
    with wrapped.disable_adapter():
        assert torch.equal(logits_of(wrapped), logits_of(base))
    # The matrices are added up in another order: a few roundings of float32 in logits of about ten.
    torch.testing.assert_close(logits_of(copy.deepcopy(wrapped).merge_and_unload()), tuned, atol=1e-4, rtol=1e-4)


def test_several_adapters_are_switched_and_summed() -> None:
    """Each alone is itself, both together add their changes to a layer, and removing one leaves the other."""
    base, wrapped = wrap("lora", "tiny-llama")
    wrapped.add_adapter("other", wrapped.peft_config["default"])
    excite(wrapped, "lora_B.default")
    excite(wrapped, "lora_B.other", seed=1)
    first = logits_of(wrapped)
    wrapped.base_model.set_adapter(["default", "other"])
    layer = next(iter(adapted_layers(wrapped).values()))
    values = torch.randn(3, layer.in_features)
    hidden, both, changes = layer.base_layer(values), layer(values), []
    for name in ("default", "other"):
        layer.set_adapter(name)
        changes.append(layer(values) - hidden)
    assert not torch.allclose(changes[0], changes[1], atol=1e-3)
    torch.testing.assert_close(both, hidden + sum(changes), atol=1e-5, rtol=1e-5)
    wrapped.set_adapter("default")
    assert torch.equal(logits_of(wrapped), first)
    wrapped.delete_adapter("other")
    assert torch.equal(logits_of(wrapped), first)
    assert not torch.allclose(first, logits_of(base), atol=1e-3)
