"""What can be learned: one module a task."""

from harness.registry import Registry
from harness.tasks.task import Task

TASKS: Registry[Task] = Registry(
    "task",
    {
        "generation": "harness.tasks.generation:GENERATION",
        "summarization": "harness.tasks.summarization:SUMMARIZATION",
        "translation": "harness.tasks.translation:TRANSLATION",
    },
)

__all__ = ["TASKS", "Task"]
