"""Groups of tensors that belong to the rows of a batch."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import ClassVar, Self

import torch

Held = torch.Tensor | tuple[torch.Tensor, ...]


@dataclass(frozen=True, kw_only=True)
class Tensors:
    """Tensors whose first dimension is the rows, alone or in tuples."""

    SHARED: ClassVar[frozenset[str]] = frozenset()
    """Names of the tensors that are the same for all rows."""

    def select(self, rows: torch.Tensor) -> Self:
        """Those of some rows: (kept,) int64."""
        chosen: dict[str, Held] = {}
        for name, held in self._items():
            if name not in self.SHARED:
                chosen[name] = tuple(each[rows] for each in held) if isinstance(held, tuple) else held[rows]
        return replace(self, **chosen)

    def assign(self, other: Self) -> None:
        """Take over the values of a group of the same shapes, in the memory of this one."""
        for (_, own), (_, new) in zip(self._items(), other._items(), strict=True):
            mine, theirs = (held if isinstance(held, tuple) else (held,) for held in (own, new))
            for kept, wanted in zip(mine, theirs, strict=True):
                kept.copy_(wanted)

    def _items(self) -> list[tuple[str, Held]]:
        return [(field.name, getattr(self, field.name)) for field in fields(self)]
