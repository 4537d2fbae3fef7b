"""A step that is run again and again in the same memory: on a GPU captured once as a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def capture(step: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """Something that does what ``step`` does, without Python and without launches of its own where there is a GPU.

    Args:
        step: reads and writes the same tensors each time. It is not run here.
        device: where it works.

    Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
    """
    if device.type != "cuda":
        return step
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def rehearse(work: Callable[[], object], device: torch.device) -> None:
    """Run what is to be captured once on a stream beside, so that libraries make their handles and work spaces.

    Args:
        work: may be run once more without harm.
        device: where it works; elsewhere than on a GPU nothing is run.
    """
    if device.type != "cuda":
        return
    beside = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    beside.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(beside):
        work()
    torch.cuda.current_stream(device).wait_stream(beside)


class Watch:
    """Asks the device whether all is done, and never waits for the answer: it is that of an earlier question."""

    def __init__(self, device: torch.device) -> None:
        on_gpu = device.type == "cuda"
        self._answer = torch.zeros((), dtype=torch.bool, pin_memory=on_gpu)
        self._asked: Any = torch.cuda.Event() if on_gpu else None  # type: ignore[no-untyped-call]
        self._waiting = False

    def says_done(self, done: torch.Tensor) -> bool:
        """Ask whether all of ``done``, (rows,) bool, is true, and give the answer that has come, if one has."""
        if self._asked is None:
            return bool(done.all())
        if self._waiting:
            if not self._asked.query():
                return False
            if bool(self._answer):
                return True
        self._answer.copy_(done.all(), non_blocking=True)
        self._asked.record()
        self._waiting = True
        return False
