"""Scores of every row, with a signature each."""

from harness.metrics.metric import Metric, Output, Table
from harness.registry import Registry

METRICS: Registry[Metric] = Registry(
    "metric",
    {
        "answers": "harness.metrics.answers:ANSWERS",
        "bleu": "harness.metrics.bleu:BLEU",
        "classes": "harness.metrics.classes:CLASSES",
        "distinct": "harness.metrics.distinct:DISTINCT",
        "entities": "harness.metrics.entities:ENTITIES",
        "facts": "harness.metrics.facts:FACTS",
        "grades": "harness.metrics.grades:GRADES",
        "perplexity": "harness.metrics.perplexity:PERPLEXITY",
        "rouge": "harness.metrics.rouge:ROUGE",
    },
)

__all__ = ["METRICS", "Metric", "Output", "Table"]
