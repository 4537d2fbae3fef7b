"""Families of scores as metrics of Hugging Face ``evaluate``, which work without a network."""

from __future__ import annotations

from typing import Any

import datasets
import evaluate
from evaluate import EvaluationModuleInfo

from harness.metrics import METRICS, Metric
from harness.metrics.texts import score_texts


class EvaluateMetric(evaluate.Metric):  # type: ignore[misc]  # the base class is untyped
    """The scores of a set, and with ``per_row=True`` the score of each row as well.

    Unlike ``evaluate.load("rouge")`` it needs no download and does not bootstrap, so equal texts give equal numbers.
    References may be one text a row or several. Perplexity and the newsroom's facts need more than texts and are not to
    be had this way.

    Args:
        family: a name of `harness.metrics.METRICS`, or a metric with options of its own.

    Examples:
        >>> EvaluateMetric("rouge").compute(predictions=["A cat sat."], references=["A cat sat."])["rouge1"]
        100.0
    """

    def __init__(self, family: str | Metric, **options: Any) -> None:
        self._metric = METRICS[family] if isinstance(family, str) else family
        super().__init__(config_name=type(self._metric).__name__, **options)

    def _info(self) -> EvaluationModuleInfo:
        text = datasets.Value("string")
        return EvaluationModuleInfo(
            description=type(self._metric).__doc__ or "",
            citation="",
            features=[
                datasets.Features({"predictions": text, "references": several})
                for several in (datasets.Sequence(text), text)
            ],
        )

    def _compute(self, predictions: list[str], references: list[Any], *, per_row: bool = False) -> dict[str, Any]:
        listed = [[entry] if isinstance(entry, str) else list(entry) for entry in references]
        scores = score_texts(self._metric, predictions, listed)
        result: dict[str, Any] = {name: float(values.mean()) for name, values in scores.items()}
        if per_row:
            result["per_row"] = {name: values.tolist() for name, values in scores.items()}
        return result
