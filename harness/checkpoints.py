"""Checkpoints of a training: from the last whole one it goes on, and ends with the bits that it would have had.

They are those that `Trainer` writes and reads: weights as safetensors, and the states of optimizer, schedule and random
generators as tensors, which it loads with ``torch.load(weights_only=True)``: no code can hide there, and the hash of
each file is checked before. The pickled arguments beside them are left out; nobody reads them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file, save_model
from transformers import TrainerCallback
from transformers.utils import SAFE_WEIGHTS_NAME

from harness.early_stopping import EarlyStopping, list_moving
from harness.lesson import Trained
from harness.progress import Progress, say_age

KEPT = 2
"""Checkpoints that stay: should the last one be damaged, there is one before it."""
STEP = "step-"
TRAINED, WEIGHTS_FILE, FACTS_FILE = "trained", "weights.safetensors", "trained.json"
PICKLED = "training_args.bin"


class Checkpoints(TrainerCallback):  # type: ignore[misc]  # the base class is untyped
    """Has the trainer save its state from time to time, and keeps that as a piece.

    Behind the last step of an epoch it waits for the end of the epoch, so that what early stopping finds there belongs
    to the state.

    Args:
        progress: of this training.
        stopper: watches the held-out rows, where it stops early.
    """

    def __init__(self, progress: Progress, stopper: EarlyStopping | None) -> None:
        self._progress, self._stopper = progress, stopper

    def find(self) -> Path | None:
        """The last whole checkpoint."""
        places = (self._progress.find(f"{STEP}{number}") for number in reversed(self._progress.numbered(STEP)))
        return next((place for place in places if place is not None), None)

    def restore(self, place: Path) -> None:
        """Give early stopping what it had found by then, and say from which step training goes on."""
        if self._stopper is not None:
            self._stopper.read(place)
        state = json.loads((place / "trainer_state.json").read_text(encoding="utf-8"))
        self._progress.say(
            f"training goes on from step {state['global_step']} of {state['max_steps']} ({say_age(place)})"
        )

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Ask for a checkpoint where it is time for one."""
        ends_epoch = self._stopper is not None and state.epoch is not None and float(state.epoch).is_integer()
        if self._progress.due and not ends_epoch and state.global_step < state.max_steps:
            control.should_save = True

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Ask for the one that had to wait; of a training that stops here the weights are kept in a moment."""
        if self._progress.due and not control.should_training_stop and state.global_step < state.max_steps:
            control.should_save = True

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Keep what the trainer has saved, and of the earlier ones the last."""
        saved = Path(args.output_dir) / f"checkpoint-{state.global_step}"

        def move(fresh: Path) -> None:
            (saved / PICKLED).unlink(missing_ok=True)
            name_as_in_model(saved / SAFE_WEIGHTS_NAME, kwargs["model"])
            for path in saved.iterdir():
                path.rename(fresh / path.name)
            if self._stopper is not None:
                self._stopper.write(fresh)

        self._progress.keep(f"{STEP}{state.global_step}", move)
        saved.rmdir()
        for number in self._progress.numbered(STEP)[:-KEPT]:
            self._progress.drop(f"{STEP}{number}")


def name_as_in_model(weights: Path, model: torch.nn.Module) -> None:
    """Write a checkpoint's weights anew where they have names that the model does not know.

    transformers 5.0 saves a model that was loaded under the names that old checkpoints have, ``LayerNorm.gamma``, and
    leaves these out, with a warning, when a training is resumed.

    Source: https://github.com/huggingface/transformers/issues/43701

    Args:
        weights: a file of safetensors; nothing is done where there is none.
        model: what is being trained.
    """
    if not weights.is_file():
        return
    with safe_open(weights, framework="pt") as file:
        unknown = set(file.keys()) - model.state_dict().keys()
    if unknown:
        save_model(model, str(weights))


def recall_trained(progress: Progress, model: torch.nn.Module, train: Callable[[], Trained]) -> Trained:
    """What was trained before, or else is trained now and kept: all that may move, and how it went.

    Args:
        progress: of this training.
        model: the model as it is before; it is given the weights.
        train: trains that very model.
    """
    place = progress.find(TRAINED)
    if place is None:
        trained = train()
        progress.keep(TRAINED, lambda fresh: write_trained(fresh, trained, list_moving(trained.model)))
        for number in progress.numbered(STEP):
            progress.drop(f"{STEP}{number}")
        return trained
    progress.say(f"training is done already ({say_age(place)})")
    return read_trained(place, model.cpu(), list_moving(model))


def write_trained(place: Path, trained: Trained, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write some of a trained model's weights and buffers, and how they came about.

    Args:
        place: a new piece.
        trained: the model.
        tensors: those of its tensors in which it differs from one that is not trained.
    """
    plain = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    save_file(plain, place / WEIGHTS_FILE)
    facts = {name: getattr(trained, name) for name in ("losses", "trainable_parameters", "held_out_losses")}
    (place / FACTS_FILE).write_text(json.dumps(facts) + "\n", encoding="utf-8")


def read_trained(place: Path, model: Any, tensors: Mapping[str, torch.Tensor]) -> Trained:
    """Give a model the weights that `write_trained` wrote.

    Args:
        place: a whole piece.
        model: of the same make; it is changed.
        tensors: those of its tensors that were written.
    """
    facts = json.loads((place / FACTS_FILE).read_text(encoding="utf-8"))
    with torch.no_grad():
        for name, tensor in load_file(place / WEIGHTS_FILE).items():
            tensors[name].copy_(tensor)
    return Trained(
        model=model.eval(),
        losses=tuple(facts["losses"]),
        trainable_parameters=facts["trainable_parameters"],
        held_out_losses=tuple(facts["held_out_losses"]),
    )
