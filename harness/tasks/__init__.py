"""What can be learned: one module a task."""

from harness.registry import Registry
from harness.tasks.task import Task

TASKS: Registry[Task] = Registry(
    "task",
    {
        "summarization": "harness.tasks.summarization:SUMMARIZATION",
        "translation": "harness.tasks.translation:TRANSLATION",
        "classification": "harness.tasks.classification:CLASSIFICATION",
        "sentiment": "harness.tasks.sentiment:SENTIMENT",
        "ner": "harness.tasks.ner:NER",
        "question-answering": "harness.tasks.question_answering:QUESTION_ANSWERING",
        "generation": "harness.tasks.generation:GENERATION",
    },
)

__all__ = ["TASKS", "Task"]
