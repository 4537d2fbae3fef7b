"""LoRA: each layer's matrix W becomes W + scale B A, and only the narrow B and A learn.

Hu et al. 2022, "LoRA: Low-Rank Adaptation of Large Language Models". B starts at zero, so training starts from the
base. It is folded into the weights by ``merge_and_unload`` of the tuned model.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

from peft import LoraConfig
from peft.utils import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as KNOWN
from transformers import PreTrainedModel

from harness.config import Experiment
from harness.errors import SettingsError
from harness.methods.method import Course
from harness.methods.parameter_efficient import PeftMethod, list_linear_layers
from harness.methods.quantization import quantize, require_bitsandbytes

QUERY_AND_VALUE = (("query", "value"), ("q_proj", "v_proj"), ("q", "v"), ("query_key_value",), ("c_attn",))
"""What the first paper adapts, by the names that it has in architectures that PEFT does not know."""


def make_config(experiment: Experiment, model: PreTrainedModel) -> LoraConfig:
    """PEFT's settings for an experiment.

    Raises:
        SettingsError: the targets are to be found, and there are none of the usual names.
    """
    own = experiment.lora
    match own.targets:
        case "all-linear":
            targets: str | list[str] = list_linear_layers(model)
        case "auto":
            targets = find_targets(model)
        case names:
            targets = list(names)
    return LoraConfig(
        r=own.rank,
        lora_alpha=own.alpha,
        lora_dropout=own.dropout,
        target_modules=targets,
        use_rslora=own.rslora,
        use_dora=own.dora,
    )


def find_targets(model: PreTrainedModel) -> str | list[str]:
    """The layers that PEFT takes for an architecture; of one that it does not know, those of query and value.

    Raises:
        SettingsError: it has no layers of these names.
    """
    if (known := KNOWN.get(model.config.model_type)) is not None:
        return known if isinstance(known, str) else list(known)
    ends = {name.rpartition(".")[2] for name, _ in model.named_modules()}
    for names in QUERY_AND_VALUE:
        if ends.issuperset(names):
            return list(names)
    raise SettingsError(
        f'PEFT does not know which layers of a "{model.config.model_type}" to adapt, and none is called as a query.',
        fix=f'Set lora.targets = "all-linear", or to ends of names: {", ".join(list_linear_layers(model))}.',
    )


def make_base(experiment: Experiment, model: PreTrainedModel, heads: Sequence[str]) -> PreTrainedModel:
    """A copy of the base, its linear layers in four bits where the settings say so.

    Raises:
        SettingsError: bitsandbytes does not run here.
    """
    return copy.deepcopy(model) if experiment.lora.quantization == "none" else quantize(model, heads)


def require_fit(course: Course) -> None:
    """Make sure that the model has the layers that are meant, and that they can be quantised.

    Raises:
        SettingsError: it has not, or they cannot.
    """
    if course.form.experiment.lora.quantization != "none":
        require_bitsandbytes()
    tune.require_fit(course)


tune = PeftMethod(name="lora", make_config=make_config, make_base=make_base)
