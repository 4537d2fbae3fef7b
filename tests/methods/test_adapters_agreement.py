"""Bottlenecks compute what the ``adapters`` library computes; ``tox -e adapters`` has what that needs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from peft import get_peft_model
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    PreTrainedModel,
    T5Config,
    T5ForConditionalGeneration,
)

from harness.methods.bottleneck import BottleneckConfig, BottleneckLayer
from tests.methods.adapted import excite, logits_of

adapters = pytest.importorskip("adapters", reason="needs transformers 4.57: tox -e adapters")
THEIRS = {"down": "adapter_down.0", "up": "adapter_up"}
PLACES = {"t5": 2, "bert": 1}
"""How many parts of a layer's name are behind the module that holds the other library's bottleneck."""


def make_t5() -> PreTrainedModel:
    sizes = {"vocab_size": 128, "d_model": 16, "d_kv": 4, "d_ff": 32, "num_layers": 2, "num_heads": 4}
    return T5ForConditionalGeneration(T5Config(**sizes, feed_forward_proj="gated-gelu", decoder_start_token_id=0))


def make_bert() -> PreTrainedModel:
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    return BertForSequenceClassification(BertConfig(vocab_size=128, **sizes))


@pytest.mark.parametrize("make", [make_t5, make_bert])
@pytest.mark.parametrize("placement", ["houlsby", "pfeiffer"])
def test_same_weights_give_the_same_logits(make: Callable[[], PreTrainedModel], placement: str) -> None:
    """Both placements, an encoder-decoder without and an encoder with the norm behind each sublayer.

    The other library's default for Pfeiffer reads the sum with the residual; here the bottleneck reads the sublayer.
    """
    torch.manual_seed(0)
    ours = make().eval()
    theirs = type(ours)(ours.config).eval()
    theirs.load_state_dict(ours.state_dict())
    ours = get_peft_model(ours, BottleneckConfig(placement=placement, activation="relu"))
    adapters.init(theirs)
    houlsby = placement == "houlsby"
    config = {"reduction_factor": 4, "non_linearity": "relu", "original_ln_before": False, "cross_adapter": houlsby}
    kind = adapters.DoubleSeqBnConfig if houlsby else adapters.SeqBnConfig
    theirs.add_adapter("default", config=kind(**config))
    theirs.set_active_adapters("default")
    excite(ours, "bottleneck")
    parts = PLACES[ours.config.model_type]
    copied = 0
    for name, layer in ours.get_base_model().named_modules():
        if isinstance(layer, BottleneckLayer):
            bottleneck = theirs.get_submodule(f"{name.rsplit('.', parts)[0]}.adapters.default")
            for own, other in THEIRS.items():
                projection = getattr(layer, f"bottleneck_{own}")["default"]
                bottleneck.get_submodule(other).load_state_dict(projection.state_dict())
                copied += 2
    assert copied == sum("adapters" in name for name, _ in theirs.named_parameters())
    torch.testing.assert_close(logits_of(ours), logits_of(theirs), atol=1e-6, rtol=1e-5)
