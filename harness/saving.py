"""The tuned model as a folder that transformers, or PEFT, loads: whole or not at all, and never over another."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from harness import processes
from harness.atomic import probe, unwritable, whole_folder
from harness.config import Experiment
from harness.errors import SettingsError, UsageError

if TYPE_CHECKING:
    from harness.methods.method import Method
    from harness.models.loading import LoadedModel


class Saving:
    """Where the tuned model of the first seed is to go, if anywhere; it waits in memory until the verdict is there.

    Args:
        folder: a new folder; with none, nothing is kept or written.
        experiment: what is to be run.
        method: a user's own way to fine-tune, in place of the experiment's.

    Raises:
        SettingsError: the experiment's method makes no weights that can be saved.
        UsageError: the folder exists already, or cannot be written.
    """

    def __init__(self, folder: Path | None, experiment: Experiment, method: Method | None) -> None:
        self.folder = folder
        self.tuned: LoadedModel | None = None
        if folder is not None:
            require_place(folder)
            if method is None:
                require_weights(experiment)

    def take(self, tuned: LoadedModel) -> None:
        """Meet a tuned model; the first is kept."""
        if self.folder is not None and self.tuned is None:
            self.tuned = tuned

    def write(self, *, base: LoadedModel, say: Callable[[str], None]) -> None:
        """Write the model that was kept, and say where.

        Raises:
            UsageError: the folder came about in the meantime, or cannot be written.
        """
        if self.folder is not None and self.tuned is not None:
            save_tuned(self.tuned, self.folder, base=base)
            say(f"tuned model saved to {self.folder}")


def require_weights(experiment: Experiment) -> None:
    """Make sure that the method of an experiment makes weights that can be saved.

    Raises:
        SettingsError: it changes none.
    """
    if experiment.method == "prompt" and experiment.prompt.variant == "text":
        raise SettingsError(
            f'There will be no model to save: the method is "{experiment.prompt.way}" (prompt.variant = "text").',
            why="A text asks the base in another way, and changes none of its weights.",
            fix='Leave --save out, or set prompt.variant = "prompt-tuning" (a soft prompt), or choose another method.',
        )


def require_place(folder: Path) -> None:
    """Make sure, before an hour of training as behind it, that a folder is not there yet, and can be made.

    Raises:
        UsageError: it is, or it cannot.
    """
    if os.path.lexists(folder):
        raise UsageError(
            f"{folder} exists already, and the tuned model was to be saved there.",
            why="What it holds may be another model, and would be lost.",
            fix="Name a new folder, or take this one away.",
        )
    try:
        probe(folder)
    except OSError as error:
        raise unwritable(folder, error) from error


def save_tuned(tuned: LoadedModel, folder: Path, *, base: LoadedModel) -> None:
    """Write a tuned model and its tokenizer by ``save_pretrained``; of several processes the first does.

    Args:
        tuned: a model, all of whose weights are written; or a model of PEFT, of which the adapter is, with the head
            that was trained with it.
        folder: where to; it must not be there.
        base: what an adapter stands on; its hash is written beside.

    Raises:
        UsageError: the folder came about in the meantime, or cannot be written.
    """
    if not processes.is_first():
        return
    require_place(folder)
    with whole_folder(folder) as fresh:
        write_model(tuned, fresh, base=base)
        tuned.tokenizer.save_pretrained(str(fresh))


def write_model(tuned: LoadedModel, folder: Path, *, base: LoadedModel) -> None:
    """Write the weights, or the adapter as a strategy writes it, and its settings."""
    from peft import PeftModel

    from harness.methods.stored import hash_base, write_base

    if not isinstance(tuned.model, PeftModel):
        tuned.model.save_pretrained(str(folder))
        return
    tuned.model.save_pretrained(str(folder), save_embedding_layers=False)
    heads = getattr(tuned.model.active_peft_config, "modules_to_save", None) or []
    write_base(folder, hash_base(base.model, heads))
