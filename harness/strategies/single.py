"""A model for each task, which share nothing: what the strategies are measured against."""

from __future__ import annotations

from typing import ClassVar

from harness.strategies.sequential import Sequential
from harness.strategies.shared import SharedModel
from harness.strategies.strategy import Taught


class Single(Sequential):
    """Fine-tunes all weights of the base on each task alone."""

    name: ClassVar = "single"

    def begin(self) -> Taught[SharedModel]:
        """The base, once for each task."""
        return Taught(pupil=SharedModel.start(self.curriculum, share=False))
