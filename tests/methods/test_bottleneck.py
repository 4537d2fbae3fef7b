"""Bottlenecks behave as PEFT's own adapters do, and compute what the paper says."""

from __future__ import annotations

import pytest
import torch
from peft import get_peft_model
from transformers import GPT2Config, GPT2LMHeadModel

from harness.errors import SettingsError, UsageError
from harness.methods.bottleneck import BottleneckConfig, BottleneckLayer
from tests.methods.adapted import PRESETS, excite, logits_of, wrap


@pytest.mark.parametrize("model", PRESETS)
def test_new_adapters_change_nothing(model: str) -> None:
    """With up at zero the logits are those of the base, bit for bit; with noise on it they are not."""
    base, wrapped = wrap("adapters", model)
    assert torch.equal(logits_of(wrapped), logits_of(base))
    assert not torch.allclose(logits_of(excite(wrapped, "bottleneck_up")), logits_of(base), atol=1e-3)


def test_layer_adds_up_of_activation_of_down() -> None:
    """A layer gives h + up(gelu(down(h))) of its own output h, biases included."""
    layer = BottleneckLayer(torch.nn.Linear(6, 8), "default", BottleneckConfig(reduction_factor=2, activation="gelu"))
    excite(layer, "bottleneck")
    down, up = layer.bottleneck_down["default"], layer.bottleneck_up["default"]
    values = torch.randn(3, 5, 6)
    hidden = layer.base_layer(values)
    right = hidden + torch.nn.functional.gelu(hidden @ down.weight.T + down.bias) @ up.weight.T + up.bias
    assert down.weight.shape == (4, 8)
    torch.testing.assert_close(layer(values), right)


@pytest.mark.parametrize("model", PRESETS)
@pytest.mark.parametrize("placement", ["houlsby", "pfeiffer"])
def test_each_sublayer_has_one_bottleneck(model: str, placement: str) -> None:
    """Houlsby: behind each attention and each feed-forward sublayer; Pfeiffer: behind each feed-forward sublayer."""
    base, wrapped = wrap("adapters", model, **{"adapters.placement": placement})
    config = base.config
    blocks = config.num_hidden_layers
    sublayers = {"houlsby": 2, "pfeiffer": 1}[placement] * blocks
    if config.is_encoder_decoder:
        sublayers += {"houlsby": 3, "pfeiffer": 1}[placement] * config.num_decoder_layers
    layers = [module for module in wrapped.modules() if isinstance(module, BottleneckLayer)]
    assert len(layers) == sublayers
    assert all(layer.base_layer.out_features == config.hidden_size for layer in layers)


def test_conv1d_layers_of_gpt2_are_found() -> None:
    """GPT-2's matrices are stored the other way round, and its bottlenecks have the width of the model."""
    base = GPT2LMHeadModel(GPT2Config(n_layer=1, n_embd=16, n_head=2, vocab_size=128))
    wrapped = get_peft_model(base, BottleneckConfig())
    layers = [module for module in wrapped.modules() if isinstance(module, BottleneckLayer)]
    assert [layer.bottleneck_down["default"].weight.shape for layer in layers] == [(4, 16), (4, 16)]


def test_several_adapters_are_switched_summed_and_turned_off() -> None:
    """Each active alone is itself, both together sum their changes, and none is the base, bit for bit."""
    base, wrapped = wrap("adapters", "tiny-bert")
    wrapped.add_adapter("other", BottleneckConfig())
    excite(wrapped, "bottleneck_up.default")
    excite(wrapped, "bottleneck_up.other", seed=1)
    first = logits_of(wrapped)
    wrapped.set_adapter("other")
    other = logits_of(wrapped)
    wrapped.base_model.set_adapter(["default", "other"])
    layer = next(module for module in wrapped.modules() if isinstance(module, BottleneckLayer))
    values = torch.randn(4, layer.base_layer.in_features)
    hidden, both = layer.base_layer(values), layer(values)
    changes = []
    for name in ("default", "other"):
        layer.set_adapter(name)
        changes.append(layer(values) - hidden)
    torch.testing.assert_close(both, hidden + sum(changes))
    wrapped.set_adapter("default")
    assert torch.equal(logits_of(wrapped), first)
    assert not torch.allclose(first, other, atol=1e-3)
    with wrapped.disable_adapter():
        assert torch.equal(logits_of(wrapped), logits_of(base))
    wrapped.delete_adapter("other")
    assert torch.equal(logits_of(wrapped), first)


def test_unloading_gives_the_base_back() -> None:
    """Without the adapter there is no bottleneck left, and the logits are the base's."""
    base, wrapped = wrap("adapters", "tiny-llama")
    plain = excite(wrapped, "bottleneck_up").unload()
    assert not [module for module in plain.modules() if isinstance(module, BottleneckLayer)]
    assert torch.equal(logits_of(plain), logits_of(base))


def test_bottlenecks_cannot_be_merged() -> None:
    """An activation cannot be folded into a matrix, and the error says so."""
    _, wrapped = wrap("adapters", "tiny-llama")
    with pytest.raises(UsageError, match="cannot be merged"):
        wrapped.merge_and_unload()


def test_settings_that_fit_no_layer_are_refused() -> None:
    """A name that no layer has, a layer without a width and an activation that is none: each says what to choose."""
    with pytest.raises(SettingsError, match=r"adapters\.targets .* down_proj"):
        wrap("adapters", "tiny-llama", **{"adapters.targets": ["nothing"]})
    with pytest.raises(UsageError, match="Dropout"):
        wrap("adapters", "tiny-t5", **{"adapters.targets": ["dropout"]})
    with pytest.raises(SettingsError, match='no activation "relo"'):
        wrap("adapters", "tiny-llama", **{"adapters.activation": "relo"})
