"""ROUGE as a metric of Hugging Face ``evaluate``, which works without a network."""

from __future__ import annotations

from typing import Any

import datasets
import evaluate
from evaluate import EvaluationModuleInfo

from harness.metrics.rouge import KINDS, ROUGE, Rouge


class RougeMetric(evaluate.Metric):  # type: ignore[misc]  # the base class is untyped
    """Mean ROUGE over rows in percent points, and with ``per_row=True`` the score of each row as well.

    Unlike ``evaluate.load("rouge")`` it needs no download and does not bootstrap, so equal texts give equal numbers.
    References may be one text a row or several.

    Examples:
        >>> RougeMetric().compute(predictions=["A cat sat."], references=["A cat sat."])["rouge1"]
        100.0
    """

    def _info(self) -> EvaluationModuleInfo:
        text = datasets.Value("string")
        return EvaluationModuleInfo(
            description=self.__doc__ or "",
            citation="Lin 2004, ROUGE: A Package for Automatic Evaluation of Summaries",
            features=[
                datasets.Features({"predictions": text, "references": several}) for several in (_list_of(text), text)
            ],
        )

    def _compute(
        self,
        predictions: list[str],
        references: list[Any],
        *,
        stemmer: bool = True,
        per_row: bool = False,
    ) -> dict[str, Any]:
        metric = ROUGE if stemmer else Rouge(stemmer=False)
        listed = [[entry] if isinstance(entry, str) else list(entry) for entry in references]
        scores = metric.score(predictions, listed)
        result: dict[str, Any] = {kind: float(scores[kind].mean()) for kind in KINDS}
        if per_row:
            result["per_row"] = {kind: scores[kind].tolist() for kind in KINDS}
        return result


def _list_of(feature: Any) -> Any:
    return datasets.Sequence(feature)
