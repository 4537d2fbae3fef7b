"""QLoRA's frozen base: linear layers in four bits (NF4), which no gradient changes.

Dettmers et al. 2023, "QLoRA: Efficient Finetuning of Quantized LLMs", section 3: each block of 64 weights becomes 4-bit
quantiles of a normal distribution times a scale, and the scales are quantised too.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from tempfile import TemporaryDirectory

import torch
from transformers import BitsAndBytesConfig, PreTrainedModel

from harness.device import choose_device
from harness.errors import SettingsError
from harness.models.quiet import quiet_loading


def quantize(model: PreTrainedModel, heads: Sequence[str]) -> PreTrainedModel:
    """A copy of a model in four bits, where the adapters will be trained; one that has four bits already is copied.

    It goes through a folder, so that it is to the bit what transformers loads in four bits from the base's own files,
    and an adapter that was trained on it fits there.

    Args:
        model: the base, in float32; it is not changed.
        heads: modules that stay as they are, because they are trained.

    Raises:
        SettingsError: bitsandbytes does not run here.
    """
    if getattr(model, "is_quantized", False):
        return copy.deepcopy(model)
    require_bitsandbytes()
    with TemporaryDirectory(prefix="harness-") as folder, quiet_loading():
        model.save_pretrained(folder)
        quantized: PreTrainedModel = type(model).from_pretrained(
            folder,
            quantization_config=make_quantization(heads),
            dtype=torch.float32,
            device_map={"": choose_device()},
        )
    # An adapter writes down what it was trained on, and the folder is gone.
    quantized.name_or_path = quantized.config.name_or_path = model.name_or_path
    return quantized.eval()


def make_quantization(heads: Sequence[str] = ()) -> BitsAndBytesConfig:
    """What ``from_pretrained`` takes as ``quantization_config`` to load a base as `quantize` makes it."""
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32,
        llm_int8_skip_modules=list(heads) or None,
    )


def require_bitsandbytes() -> None:
    """Make sure that bitsandbytes is installed and runs on this device.

    Raises:
        SettingsError: it does not.
    """
    try:
        from bitsandbytes.functional import quantize_4bit  # noqa: PLC0415 - an extra

        quantize_4bit(torch.ones(64, device=choose_device()), quant_type="nf4")
    except Exception as error:  # it fails in other ways on each device and in each version
        raise SettingsError(
            f'lora.quantization is "nf4", and bitsandbytes does not run on {choose_device().type}: '
            f"{type(error).__name__}: {error}.",
            why="It computes with the four bits.",
            fix='Install it: pip install bitsandbytes; or set lora.quantization to "none".',
        ) from error
