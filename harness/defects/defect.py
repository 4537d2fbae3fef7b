"""What a defect is: a clean pipeline with one real, silent bug planted, as a user would have written it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from harness.checks.check import Stage
from harness.checks.pipeline import Pipeline


@dataclass(frozen=True, kw_only=True)
class Defect:
    """One entry of the catalogue.

    Args:
        name: words joined by dashes.
        description: what is wrong, one sentence.
        symptom: what the user sees.
        stage: the part of the pipeline where it sits.
        source: address of a report of it; empty where none is known that shows just this.
        reference: the clean pipeline it is planted in, a name of `harness.defects.reference.REFERENCES`.
        plant: puts it into that pipeline; it changes data, settings or a callable, and tells no check.
    """

    name: str
    description: str
    symptom: str
    stage: Stage
    source: str
    reference: str
    plant: Callable[[Pipeline], Pipeline] = field(repr=False)


def defect(
    name: str, stage: Stage, *, reference: str, symptom: str, source: str
) -> Callable[[Callable[[Pipeline], Pipeline]], Defect]:
    """Make a defect of a function that plants it; the first paragraph of its docstring describes it."""

    def make(plant: Callable[[Pipeline], Pipeline]) -> Defect:
        description = " ".join((plant.__doc__ or "").strip().split("\n\n")[0].split())
        return Defect(
            name=name,
            description=description,
            symptom=symptom,
            stage=stage,
            source=source,
            reference=reference,
            plant=plant,
        )

    return make
