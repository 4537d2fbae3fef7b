"""What can be learned: one module a task."""

from harness.registry import Registry
from harness.tasks.task import Task

TASKS: Registry[Task] = Registry(
    "task",
    {
        "question-answering": "harness.tasks.question_answering:QUESTION_ANSWERING",
        "summarization": "harness.tasks.summarization:SUMMARIZATION",
    },
)

__all__ = ["TASKS", "Task"]
