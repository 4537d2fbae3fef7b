"""Fine-tuning: on a copy, repeatable, and never silent about a loss that is not finite."""

from __future__ import annotations

import copy
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.config import TrainingSettings
from harness.errors import NonFiniteLossError
from harness.fingerprint import hash_weights
from harness.lesson import Trained
from harness.models.loading import LoadedModel
from harness.training import fine_tune
from tests.small import make_lesson

SETTINGS = TrainingSettings(epochs=2, batch_size=8, learning_rate=1e-3)


def tune(loaded: LoadedModel, **changes: object) -> Trained:
    return fine_tune(loaded.model, make_lesson(loaded), SETTINGS.model_copy(update=changes))


@pytest.fixture(scope="module")
def trained(tiny_t5: LoadedModel) -> Trained:
    """A model after four steps."""
    return tune(tiny_t5)


def test_model_that_is_handed_in_is_not_changed(tiny_t5: LoadedModel) -> None:
    """Weights, mode, settings and gradients of the base are what they were; the tuned model is another object."""
    before, config = hash_weights(tiny_t5.model), tiny_t5.model.config.to_dict()
    done = tune(tiny_t5)
    assert hash_weights(tiny_t5.model) == before
    assert tiny_t5.model.config.to_dict() == config
    assert not tiny_t5.model.training
    assert all(weight.grad is None for weight in tiny_t5.model.parameters())
    assert not {weight.data_ptr() for weight in tiny_t5.model.parameters()} & {
        weight.data_ptr() for weight in done.model.parameters()
    }


def test_same_seed_gives_the_same_bits(tiny_t5: LoadedModel, trained: Trained) -> None:
    """Two trainings with one seed end with equal weights and losses, whatever the global random state."""
    torch.manual_seed(999)
    again = tune(tiny_t5)
    assert hash_weights(again.model) == hash_weights(trained.model)
    assert again.losses == trained.losses


def test_other_seed_gives_other_weights(tiny_t5: LoadedModel, trained: Trained) -> None:
    """The seed has an effect."""
    assert hash_weights(tune(tiny_t5, seed=1).model) != hash_weights(trained.model)


def test_fresh_process_gives_the_same_bits(trained: Trained) -> None:
    """Another process, with another hash seed, ends with the same weights."""
    program = (
        f"import torch; torch.set_num_threads({torch.get_num_threads()})\n"
        "from harness.config import ModelSettings\n"
        "from harness.fingerprint import hash_weights\n"
        "from harness.models.loading import load_model\n"
        "from tests.test_training import tune\n"
        "print(hash_weights(tune(load_model(ModelSettings(), auto_class='AutoModelForSeq2SeqLM')).model))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1]
    )
    assert done.stdout.split()[-1] == hash_weights(trained.model)


def test_each_step_has_its_loss(trained: Trained, tiny_t5: LoadedModel) -> None:
    """16 rows in batches of 8 over 2 epochs are 4 steps, the first loss is that of the base, and it falls."""
    lesson = make_lesson(tiny_t5)
    with torch.no_grad():
        rows = [float(tiny_t5.model(**lesson.collator([dict(row)])).loss) for row in lesson.features]
    assert len(trained.losses) == 4
    assert trained.losses[0] == pytest.approx(float(np.mean(rows)), rel=0.15)
    assert trained.losses[-1] < trained.losses[0]
    assert trained.trainable_parameters == sum(weight.numel() for weight in tiny_t5.model.parameters())


def test_global_randomness_is_left_alone(tiny_t5: LoadedModel) -> None:
    """A training inside a user's program does not reseed that program."""
    random.seed(1)
    np.random.seed(2)
    torch.manual_seed(3)
    expected = random.random(), np.random.random(), float(torch.rand(1))
    random.seed(1)
    np.random.seed(2)
    torch.manual_seed(3)
    tune(tiny_t5)
    assert (random.random(), np.random.random(), float(torch.rand(1))) == expected


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_loss_that_is_not_finite_stops_the_training(tiny_t5: LoadedModel, poison: float) -> None:
    """NaN or infinity in the weights is an error that names step and learning rate, not a row of zeros in a log."""
    spoilt = copy.deepcopy(tiny_t5.model)
    with torch.no_grad():
        next(iter(spoilt.parameters()))[:] = poison
    with pytest.raises(NonFiniteLossError, match=r"The loss is (nan|inf) at step 1 of 4 .*learning rate 0\.001"):
        fine_tune(spoilt, make_lesson(tiny_t5), SETTINGS)


def test_rows_without_labels_stop_the_training(tiny_t5: LoadedModel) -> None:
    """A batch in which everything is masked has no loss; the trainer would log 0.0 and go on."""
    lesson = make_lesson(tiny_t5)

    def masked(features: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        batch = lesson.collator(features)
        batch["labels"][:] = -100
        return batch

    with pytest.raises(NonFiniteLossError):
        fine_tune(tiny_t5.model, replace(lesson, collator=masked), SETTINGS)


@pytest.mark.parametrize(
    "changes",
    [{"learning_rate": 1e-4}, {"weight_decay": 0.5}, {"epochs": 1}, {"batch_size": 4}, {"warmup_steps": 3},
     {"schedule": "constant"}, {"schedule": "cosine"}, {"schedule": "inverse_sqrt"},
     {"schedule": "constant_with_warmup", "warmup_steps": 3}, {"max_gradient_norm": 0.01}, {"accumulation": 2},
     {"label_smoothing": 0.2}, {"precision": "bfloat16"}, {"patience": 5}],
)  # fmt: skip
def test_every_setting_acts(tiny_t5: LoadedModel, trained: Trained, changes: dict[str, object]) -> None:
    """No setting is without effect on the weights."""
    assert hash_weights(tune(tiny_t5, **changes).model) != hash_weights(trained.model)
