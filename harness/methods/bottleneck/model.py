"""A model with bottlenecks behind its sublayers."""

from __future__ import annotations

from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTuner

from harness.methods.bottleneck.config import BottleneckConfig
from harness.methods.bottleneck.layer import BottleneckLayer

ATTENTION = (
    r"(SelfAttention|EncDecAttention)\.o",  # T5
    r"(self_|encoder_)?attn\.(o_proj|out_proj|c_proj)",  # Llama and its kin, BART, OPT, GPT-2
    r"attention\.output\.dense",  # BERT and its kin
    r"attention\.(out_lin|dense)",  # DistilBERT, GPT-NeoX
)
"""Where the last layer of attention is called so: it leads back to the width of the model."""
FEED_FORWARD = (
    r"DenseReluDense\.wo",
    r"mlp\.(down_proj|c_proj|dense_4h_to_h)",
    r"fc2",
    r"(?<!attention\.)output\.dense",
    r"ffn\.lin2",
)
"""The same for the last layer of a feed-forward sublayer."""
PLACEMENTS = {"houlsby": ATTENTION + FEED_FORWARD, "pfeiffer": FEED_FORWARD}


class BottleneckModel(BaseTuner):  # type: ignore[misc]  # the base class is untyped
    """Puts bottlenecks into a model, as PEFT's tuners put theirs."""

    prefix = "bottleneck_"
    tuner_layer_cls = BottleneckLayer

    def _prepare_adapter_config(self, peft_config: BottleneckConfig, model_config: dict[str, Any]) -> BottleneckConfig:
        if peft_config.target_modules is None:
            peft_config.target_modules = write_pattern(peft_config.placement)
        return peft_config

    def _create_and_replace(  # noqa: PLR0917 - PEFT calls it by position
        self,
        peft_config: BottleneckConfig,
        adapter_name: str,
        target: torch.nn.Module,
        target_name: str,
        parent: torch.nn.Module,
        current_key: str,
        **_: Any,
    ) -> None:
        if isinstance(target, BottleneckLayer):
            target.update_layer(adapter_name, peft_config)
            return
        layer = BottleneckLayer(target, adapter_name, peft_config)
        if adapter_name not in self.active_adapters:
            layer.requires_grad_(requires_grad=False)
        self._replace_module(parent, target_name, layer, target)


def write_pattern(placement: str) -> str:
    """The pattern of the whole names of the layers that a placement means."""
    return rf"(.*\.)?({'|'.join(PLACEMENTS[placement])})"
