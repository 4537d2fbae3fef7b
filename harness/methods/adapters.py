"""Bottleneck adapters: h + up(activation(down(h))) behind sublayers, and only the bottlenecks learn.

Houlsby et al. 2019, "Parameter-Efficient Transfer Learning for NLP", behind attention and feed-forward; Pfeiffer et al.
2021, "AdapterFusion", behind feed-forward only. A saved one is loaded by plain PEFT after
``import harness.methods.bottleneck``.
"""

from __future__ import annotations

from transformers import PreTrainedModel
from transformers.activations import ACT2FN

from harness.config import Experiment
from harness.errors import SettingsError
from harness.methods.bottleneck import BottleneckConfig
from harness.methods.parameter_efficient import PeftMethod


def make_config(experiment: Experiment, model: PreTrainedModel) -> BottleneckConfig:
    """PEFT's settings for an experiment.

    Raises:
        SettingsError: there is no such activation.
    """
    own = experiment.adapters
    if own.activation not in ACT2FN:
        raise SettingsError(
            f'transformers has no activation "{own.activation}".', fix=f"Choose one of: {', '.join(sorted(ACT2FN))}."
        )
    return BottleneckConfig(
        placement=own.placement,
        reduction_factor=own.reduction_factor,
        activation=own.activation,
        target_modules=None if own.targets is None else list(own.targets),
    )


tune = PeftMethod(name="adapters", make_config=make_config)
require_fit = tune.require_fit
