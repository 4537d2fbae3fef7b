"""Whole stages on disk, so that a run that was killed goes on where it was.

::

    FOLDER/KEY/seed-42/stage-1/stage.json            what was taught, losses, facts
    FOLDER/KEY/seed-42/stage-1/arms/TASK/            every task's arm
    FOLDER/KEY/seed-42/stage-2/...                   the last stage also has what the next one builds on:
    FOLDER/KEY/seed-42/stage-2/pupil/, memory.safetensors

The key is a hash of all that decides how the stages come out: strategy and settings, rows, base, versions of packages,
number of threads, the harness's own code. With any of them changed it is another run, which finds no stage of this one.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from harness.arm import Arm
from harness.atomic import locked, whole_folder
from harness.data.rows import hash_rows
from harness.errors import UsageError
from harness.fingerprint import hash_json
from harness.resuming import describe_circumstances
from harness.strategies.curriculum import Curriculum
from harness.strategies.pupil import Pupil
from harness.strategies.stage import Stage
from harness.strategies.strategy import Taught

if TYPE_CHECKING:
    import torch

P = TypeVar("P", bound=Pupil)
STAGE_FILE, ARMS, PUPIL, MEMORY_FILE = "stage.json", "arms", "pupil", "memory.safetensors"
JUDGED_ONLY = {"gate", "checks"}
"""Settings of a task that decide nothing about its stages."""


@dataclass(frozen=True)
class Progress:
    """The stages of one strategy.

    Args:
        folder: where they are; nobody else writes there.
    """

    folder: Path

    def read(self, seed: int, begun: Taught[P]) -> tuple[list[Stage], Taught[P]]:
        """The whole stages of a seed, and what the last of them left behind; without any, what was begun with.

        Raises:
            UsageError: a stage is damaged.
        """
        stages: list[Stage] = []
        while (place := self._place(seed, len(stages))).is_dir():
            stages.append(_read_stage(place))
        if not stages:
            return [], begun
        last, place = stages[-1], self._place(seed, len(stages) - 1)
        try:
            taught = replace(
                begun,
                pupil=begun.pupil.restore(place / PUPIL),
                memory=_read_memory(place / MEMORY_FILE),
                losses=last.losses,
                trainable_parameters=last.trainable_parameters,
                facts=last.facts,
            )
        except Exception as error:  # damaged files fail in every way there is
            raise _damaged(place, error) from error
        return stages, taught

    def write(self, seed: int, number: int, stage: Stage, taught: Taught[Any]) -> None:
        """Keep a stage; it appears as a whole or not at all. What only it needed of the one before goes."""
        from safetensors.torch import save_file  # noqa: PLC0415 - torch loads late

        with whole_folder(self._place(seed, number)) as fresh:
            for task, arm in stage.arms.items():
                arm.write(fresh / ARMS / task)
            taught.pupil.save(fresh / PUPIL)
            if taught.memory:
                plain = {name: tensor.detach().cpu().contiguous() for name, tensor in taught.memory.items()}
                save_file(plain, fresh / MEMORY_FILE)
            content = {
                "taught": stage.taught,
                "tasks": list(stage.arms),
                "losses": stage.losses,
                "trainable_parameters": stage.trainable_parameters,
                "facts": dict(stage.facts),
            }
            (fresh / STAGE_FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        if number:
            earlier = self._place(seed, number - 1)
            shutil.rmtree(earlier / PUPIL, ignore_errors=True)
            (earlier / MEMORY_FILE).unlink(missing_ok=True)

    def _place(self, seed: int, number: int) -> Path:
        return self.folder / f"seed-{seed}" / f"stage-{number + 1}"


@contextmanager
def open_progress(folder: Path | None, curriculum: Curriculum) -> Iterator[Progress | None]:
    """The stages that this very run has kept in a folder, which is this process's alone during the block.

    Raises:
        UsageError: another process is at work there, or nothing can be written.
    """
    if folder is None:
        yield None
        return
    place = folder / make_key(curriculum)
    with locked(place, wait=False):
        yield Progress(place)


def make_key(curriculum: Curriculum) -> str:
    """What decides how the stages come out, as 16 hex digits."""
    settings = curriculum.multitask.model_dump(mode="json", exclude={"tasks", "name", "seed", "repeats", "gate"})
    decides = {
        "settings": settings,
        "tasks": [
            {
                "experiment": subject.experiment.model_dump(mode="json", exclude=JUDGED_ONLY),
                "rows": [hash_rows(subject.splits.train), hash_rows(subject.splits.eval)],
                "base": subject.ready.loaded.identify().model_dump(),
            }
            for subject in curriculum.subjects
        ],
        "circumstances": describe_circumstances([subject.experiment for subject in curriculum.subjects]),
    }
    return hash_json(decides)[:16]


def _read_stage(place: Path) -> Stage:
    try:
        content = json.loads((place / STAGE_FILE).read_text(encoding="utf-8"))
        return Stage(
            taught=tuple(content["taught"]),
            arms={task: Arm.read(place / ARMS / task) for task in content["tasks"]},
            losses=tuple(content["losses"]),
            trainable_parameters=content["trainable_parameters"],
            facts=content["facts"],
        )
    except Exception as error:
        raise _damaged(place, error) from error


def _read_memory(file: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file  # noqa: PLC0415 - torch loads late

    found: dict[str, torch.Tensor] = load_file(file) if file.is_file() else {}
    return found


def _damaged(place: Path, error: Exception) -> UsageError:
    return UsageError(
        f"{place} is no whole stage: {type(error).__name__}: {error}.",
        why="The run cannot go on from there.",
        fix=f"Delete {place.parent}; the run then begins anew.",
    )
