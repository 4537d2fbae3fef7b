"""What a strategy has to offer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from harness.progress import NOTHING, Progress
from harness.strategies.curriculum import Curriculum
from harness.strategies.pupil import Pupil

if TYPE_CHECKING:
    import torch

P = TypeVar("P", bound=Pupil)


@dataclass(frozen=True, kw_only=True)
class Taught(Generic[P]):
    """What a stage left behind.

    Args:
        pupil: the model with what it knows of every task.
        losses: the training loss of each step.
        trainable_parameters: how many weights were allowed to move.
        memory: tensors that later stages need, as the Fisher information.
        facts: numbers of the strategy's own for the reports, as the share that each task really had.
    """

    pupil: P
    losses: tuple[float, ...] = ()
    trainable_parameters: int = 0
    memory: Mapping[str, torch.Tensor] = field(default_factory=dict)
    facts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Strategy(ABC, Generic[P]):
    """A way to teach one model several tasks, stage by stage.

    What a stage does follows from the curriculum, the seed and what the stage before left behind, and from nothing
    else: after a kill each stage is asked again, finds what its training has kept, and comes to the same bits.

    Args:
        curriculum: the tasks.
        seed: of this repeat; decides orders and draws.
    """

    name: ClassVar[str]
    curriculum: Curriculum
    seed: int

    @property
    def stages(self) -> tuple[tuple[str, ...], ...]:
        """Which tasks each stage teaches: one after another, unless a strategy says otherwise."""
        return tuple((name,) for name in self.curriculum.names)

    @abstractmethod
    def begin(self) -> Taught[P]:
        """The base, before the first stage."""

    @abstractmethod
    def teach(self, stage: int, before: Taught[P], progress: Progress = NOTHING) -> Taught[P]:
        """Teach one stage; what was before does not change.

        Args:
            stage: counts from 0.
            before: what the stage before left behind.
            progress: where its training is kept, and was.

        Raises:
            TrainingError: the loss is not finite, or nothing moved.
        """
