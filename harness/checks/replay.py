"""What the memory of earlier tasks holds, when tasks are learned one after another with replay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from harness.checks.check import CheckFailed, PartError, check
from harness.checks.evidence import Evidence
from harness.checks.mixing import Tasks, read_tasks, row_key

FAIR = 0.5
"""Share of its due that each task must have of the memory at least."""


@check("I9", "multitask", needs=("multitask.tasks", "multitask.replay_buffer"))
def memory_holds_earlier_training_rows(evidence: Evidence) -> str:
    """After each task the replay memory holds training rows of the tasks learned so far, and no others."""
    tasks = read_tasks(evidence)
    key = row_key(evidence, tasks)
    for last, memory in read_memory(evidence, tasks).items():
        learned = names_up_to(tasks, last)
        allowed = {key(row) for task in learned for row in tasks[task]["train"]}
        foreign = [row for row in memory if key(row) not in allowed]
        if not foreign:
            continue
        held_out = {key(row) for splits in tasks.values() for name in splits if name != "train" for row in splits[name]}
        to_come = {key(row) for task in tasks if task not in learned for row in tasks[task]["train"]}
        leaked, future = (sum(key(row) in place for row in foreign) for place in (held_out, to_come))
        raise CheckFailed(
            f"After {last} the memory holds {len(foreign)} of {len(memory)} rows that are no training rows of "
            f"{', '.join(learned)}: {leaked} from evaluation splits, {future} from tasks still to come.",
            suspects=("replay-buffer-contains-eval",),
            remedy="Fill the memory from the training split, after the split was made and after the task was learned.",
        )
    return f"{len(tasks) - 1} memories, all rows from training"


@check("I13", "multitask", needs=("multitask.tasks", "multitask.replay_buffer"))
def memory_is_balanced(evidence: Evidence) -> str:
    """Each task learned so far has its share of the replay memory, be it equal or by size."""
    tasks = read_tasks(evidence)
    key = row_key(evidence, tasks)
    told = []
    for last, memory in read_memory(evidence, tasks).items():
        learned = names_up_to(tasks, last)
        origin = {key(row): task for task in tasks for rows in tasks[task].values() for row in rows}
        counts = Counter(origin.get(key(row)) for row in memory)
        sizes = {task: len(tasks[task]["train"]) for task in learned}
        due = {
            task: min(size, len(memory) / len(learned), len(memory) * size / sum(sizes.values()))
            for task, size in sizes.items()
        }
        told.append(f"after {last}: " + ", ".join(f"{task} {counts[task]}" for task in learned))
        if any(counts[task] < FAIR * due[task] for task in learned):
            raise CheckFailed(
                f"The memory is one-sided {told[-1]} of {len(memory)} rows; "
                f"due are at least {', '.join(f'{task} {number:.0f}' for task, number in due.items())}.",
                suspects=("replay-unbalanced",),
                remedy="Give each task an equal quota, or sample by reservoir; a queue keeps the last task only.",
            )
    return "; ".join(told)


def read_memory(evidence: Evidence, tasks: Tasks) -> dict[str, list[Any]]:
    """The replay memory after each task.

    Raises:
        PartError: it is no mapping of tasks to rows of theirs.
    """
    found = evidence.remember("replay memory", lambda: evidence.call("multitask.replay_buffer"))
    if not isinstance(found, Mapping) or not set(found) <= set(tasks):
        raise PartError("multitask.replay_buffer returned no {task: rows in memory after it was learned}.")
    memory = {str(task): list(rows) for task, rows in found.items()}
    key = row_key(evidence, tasks)
    known = {key(row) for splits in tasks.values() for rows in splits.values() for row in rows}
    if not any(key(row) in known for rows in memory.values() for row in rows):
        raise PartError("No row of multitask.replay_buffer stands in tasks; let rows keep their id there.")
    return memory


def names_up_to(tasks: Iterable[str], last: str) -> list[str]:
    """The tasks up to and with ``last``."""
    names = list(tasks)
    return names[: names.index(last) + 1]
