"""What can be learned: one module a task."""

from harness.registry import Registry
from harness.tasks.task import Task

TASKS: Registry[Task] = Registry(
    "task",
    {
        "classification": "harness.tasks.classification:CLASSIFICATION",
        "sentiment": "harness.tasks.sentiment:SENTIMENT",
        "summarization": "harness.tasks.summarization:SUMMARIZATION",
    },
)

__all__ = ["TASKS", "Task"]
