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
        for own, new in zip(self._flat(), other._flat(), strict=True):
            own.copy_(new)

    def fits(self, other: Self) -> bool:
        """Whether the other group has the same shapes."""
        return [each.shape for each in self._flat()] == [each.shape for each in other._flat()]

    def _items(self) -> list[tuple[str, Held]]:
        return [(field.name, getattr(self, field.name)) for field in fields(self)]

    def _flat(self) -> list[torch.Tensor]:
        return [each for _, held in self._items() for each in (held if isinstance(held, tuple) else (held,))]
