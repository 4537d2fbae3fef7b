"""A step that is divided into batches is the step of one large batch, for every form and every embedded model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from harness.config import TrainingSettings, load_experiment
from harness.data.source import load_splits
from harness.experiment import make_course
from harness.forms import choose_form
from harness.methods import METHODS, Course
from harness.tasks import TASKS
from harness.training import fine_tune
from tests.distributed.train import drop_nothing
from tests.encoders import save_encoder

ROWS = 12
CASES: dict[str, dict[str, Any]] = {
    "summarization, tiny-t5": {},
    "generation, tiny-llama": {},
    "generation, tiny-llama, all tokens": {"encoding.loss_on": "all"},
    "classification, tiny-bert": {},
    "classification, tiny-bert, balanced": {"head.class_weights": "balanced"},
    "ner, tiny-bert, crf": {},
    "ner, tiny-bert, softmax": {"head.decoder": "softmax"},
    "question-answering, tiny-bert": {},
    "question-answering, tiny-bert, windows": {"encoding.max_input_tokens": 64, "encoding.stride": 16},
}
"""Each form with each embedded model that it is for."""


@cache
def prepare(case: str, **changes: Any) -> tuple[Any, Course]:
    """A base without dropout, and its lesson of a few rows."""
    experiment = load_experiment(f"{case.partition(',')[0]}-full").override(
        {"data.train_rows": ROWS, "data.eval_rows": 8, **CASES[case], **changes}
    )
    form = choose_form(experiment)
    rows = load_splits(experiment.data, TASKS[experiment.task]).train
    loaded = form.load(rows)
    drop_nothing(loaded.model)
    encoded = form.encode(rows, loaded)
    return loaded.model, make_course(form, loaded, rows, encoded, form.make_collator(loaded))


def take_step(train: Callable[[TrainingSettings], Any], **division: int) -> tuple[float, list[torch.Tensor]]:
    """The loss of the one step, and the gradients that the optimizer is given."""
    found: list[list[torch.Tensor]] = []
    step = torch.optim.AdamW.step

    def keep(optimizer: torch.optim.AdamW, closure: Any = None) -> Any:
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        found.append([weight.grad.clone() for weight in weights if weight.grad is not None])
        return step(optimizer, closure)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", keep)
        trained = train(TrainingSettings(epochs=1, max_gradient_norm=1e9, learning_rate=1e-3, **division))
    (loss,), (gradients,) = trained.losses, found
    return loss, gradients


def require_one_step(train: Callable[[TrainingSettings], Any], count: int, size: int) -> None:
    """One batch of all examples, and batches of some of them, give one loss and one gradient."""
    loss, whole = take_step(train, batch_size=count)
    divided, parts = take_step(train, batch_size=size, accumulation=-(-count // size))
    assert divided == pytest.approx(loss, rel=1e-4)
    together, apart = (torch.cat([each.flatten() for each in gradients]) for gradients in (whole, parts))
    # Float32 alone is 1e-6 off; a sum of means is off by its number of batches.
    assert float((apart - together).norm() / together.norm()) < 1e-3


@pytest.mark.parametrize("case", CASES)
@given(chosen=st.sets(st.integers(0, ROWS - 1), min_size=2, max_size=4), size=st.integers(1, 2))
@settings(max_examples=2, phases=[Phase.explicit, Phase.generate])
def test_divided_step_is_that_of_one_batch(case: str, chosen: set[int], size: int) -> None:
    """Rows of other lengths, one or two a batch, the last batch maybe smaller: one loss and one gradient."""
    model, lesson = prepare(case)
    lesson = replace(lesson, features=[lesson.features[number] for number in sorted(chosen)])
    require_one_step(lambda how: fine_tune(model, lesson, how), len(chosen), size)


@pytest.mark.parametrize(
    "case", ["ner, tiny-bert, crf", "ner, tiny-bert, softmax", "question-answering, tiny-bert, windows"]
)
def test_divided_step_of_a_model_that_ignores_the_number_of_labels(case: str, tmp_path: Path) -> None:
    """BERT takes the number of labels of a step and makes nothing of it: the step is right all the same."""
    model, lesson = prepare.__wrapped__(
        case, **{"model.name": save_encoder(tmp_path), "encoding.max_input_tokens": 128}
    )
    lesson = replace(lesson, features=lesson.features[:5])
    require_one_step(lambda how: fine_tune(model, lesson, how), 5, 2)


@pytest.mark.parametrize("case", ["ner, tiny-bert, softmax", "ner, tiny-bert, crf", "question-answering, tiny-bert"])
def test_divided_step_of_an_adapter(case: str) -> None:
    """What trains an adapter takes the same steps."""
    model, course = prepare(case)
    course = replace(course, features=course.features[:5])
    require_one_step(lambda how: METHODS["lora"](model, course, how), 5, 2)
