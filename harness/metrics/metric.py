"""What a metric has to offer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Metric(Protocol):
    """A family of scores that are computed together, row by row."""

    @property
    def signatures(self) -> dict[str, str]:
        """Each score's name and its signature: metric, version, options."""

    def score(self, outputs: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, NDArray[np.float64]]:
        """Score each output against its references.

        Returns:
            For each name of `signatures` an array of shape (rows,), float64, in percent points.
        """
