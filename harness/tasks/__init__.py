"""What can be learned: one module a task."""

from harness.registry import Registry
from harness.tasks.task import Task

TASKS: Registry[Task] = Registry(
    "task",
    {
        "ner": "harness.tasks.ner:NER",
        "summarization": "harness.tasks.summarization:SUMMARIZATION",
    },
)

__all__ = ["TASKS", "Task"]
