"""Where tensors live."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def choose_device() -> torch.device:
    """The first GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def at_work(model: PreTrainedModel) -> Iterator[None]:
    """Have a model compute without gradients, in eval mode and on the GPU where there is one; then it goes home."""
    home = model.device
    model.to(choose_device()).eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.to(home)


def synchronise(device: torch.device) -> None:
    """Wait until the device has done all that it was given; a GPU runs behind the program that feeds it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
