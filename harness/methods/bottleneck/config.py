"""What a bottleneck adapter is like, as it stands in ``adapter_config.json``."""

from __future__ import annotations

from dataclasses import dataclass

from peft import PeftConfig

NAME = "BOTTLENECK"
"""The type of these adapters in PEFT's list."""


@dataclass
class BottleneckConfig(PeftConfig):  # type: ignore[misc]  # the base class is untyped
    """Where bottlenecks stand and how wide they are.

    Args:
        placement: ``houlsby``, behind attention and feed-forward, or ``pfeiffer``, behind feed-forward only.
        reduction_factor: the width of the layer divided by that of the bottleneck.
        activation: between the two projections; a name that transformers knows.
        target_modules: the layers behind which bottlenecks stand: ends of names, or one pattern for whole names; by
            default those that ``placement`` finds.
        modules_to_save: modules of the base that are trained and saved as well, as a new head.
    """

    placement: str = "houlsby"
    reduction_factor: int = 4
    activation: str = "relu"
    target_modules: list[str] | set[str] | str | None = None
    modules_to_save: list[str] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = NAME
        if isinstance(self.target_modules, list):
            self.target_modules = set(self.target_modules)
