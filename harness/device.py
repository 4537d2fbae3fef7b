"""Where tensors live."""

from __future__ import annotations

import torch


def choose_device() -> torch.device:
    """The first GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def synchronise(device: torch.device) -> None:
    """Wait until the device has done all that it was given; a GPU runs behind the program that feeds it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
