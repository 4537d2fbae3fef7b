"""The options of training: each does what its name says, and nothing besides."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.config import ModelSettings, TrainingSettings
from harness.early_stopping import hold_out
from harness.errors import SettingsError
from harness.fingerprint import hash_weights
from harness.lesson import Lesson
from harness.losses import TokenLoss
from harness.models.loading import LoadedModel, load_model
from harness.tasks.task import Batch, Features
from harness.training import choose_loss, fine_tune, require_able
from tests.small import make_lesson

SETTINGS = TrainingSettings(epochs=1, batch_size=4, learning_rate=1e-3)


@pytest.fixture(scope="module")
def still_t5(tiny_t5: LoadedModel) -> LoadedModel:
    """The tiny T5 without dropout, so that nothing but the option under test makes a difference."""
    model = copy.deepcopy(tiny_t5.model)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        elif isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0
    return replace(tiny_t5, model=model)


@pytest.fixture(scope="module")
def lesson(still_t5: LoadedModel) -> Lesson:
    """Eight rows."""
    return make_lesson(still_t5, 8)


def furthest(one: torch.nn.Module, other: torch.nn.Module) -> float:
    """The largest difference of two weights."""
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return max(float((ours - theirs).detach().abs().max()) for ours, theirs in pairs)


@pytest.mark.parametrize("own_loss", [False, True])
def test_accumulated_step_is_that_of_one_batch(
    still_t5: LoadedModel, lesson: Lesson, monkeypatch: pytest.MonkeyPatch, *, own_loss: bool
) -> None:
    """Eight rows of unequal length give one loss and one gradient, as one batch of 8 and as 4 batches of 2."""
    gradients: list[list[torch.Tensor]] = []
    step = torch.optim.AdamW.step

    def keep(optimizer: torch.optim.AdamW, closure: Any = None) -> Any:
        gradients.append([weight.grad.clone() for group in optimizer.param_groups for weight in group["params"]])
        return step(optimizer, closure)

    monkeypatch.setattr(torch.optim.AdamW, "step", keep)
    if own_loss:
        lesson = replace(lesson, loss=TokenLoss(shift=False))
    whole, parts = (
        fine_tune(still_t5.model, lesson, SETTINGS.model_copy(update={"max_gradient_norm": 1e9, **division}))
        for division in ({"batch_size": 8}, {"batch_size": 2, "accumulation": 4})
    )
    assert len(whole.losses) == len(parts.losses) == 1
    assert parts.losses[0] == pytest.approx(whole.losses[0], rel=1e-4)
    assert all(torch.allclose(ours, theirs, atol=1e-5, rtol=1e-3) for ours, theirs in zip(*gradients, strict=True))


def test_gradient_of_an_accumulated_step_is_exact(still_t5: LoadedModel, lesson: Lesson) -> None:
    """Plain descent by the token loss: divided into batches, the sums of the parts are the gradient of the whole."""
    loss, model = TokenLoss(shift=False), copy.deepcopy(still_t5.model)
    whole = gradient(model, lesson, [lesson.features], loss)
    parts = gradient(model, lesson, [lesson.features[start : start + 3] for start in (0, 3, 6)], loss)
    assert all(torch.allclose(ours, theirs, atol=1e-6) for ours, theirs in zip(whole, parts, strict=True))


def gradient(model: Any, lesson: Lesson, parts: list[Any], loss: TokenLoss) -> list[torch.Tensor]:
    """The gradient of one step over some batches."""
    model.zero_grad()
    batches = [lesson.collator([*map(dict, part)]) for part in parts]
    items = sum(int((batch["labels"] != -100).sum()) for batch in batches)
    for batch in batches:
        labels = batch.pop("labels")
        loss(model(**batch), labels, items).backward()
    return [weight.grad.clone() for weight in model.parameters()]


@pytest.mark.parametrize("shift", [False, True])
def test_token_loss_without_smoothing_is_the_models_own(*, shift: bool) -> None:
    """The mean over the supervised tokens; a causal model's logits stand one place before."""
    logits, labels = torch.randn(2, 5, 7), torch.randint(0, 7, (2, 5))
    labels[0, :2] = -100
    seen, wanted = (logits[:, :-1], labels[:, 1:]) if shift else (logits, labels)
    expected = torch.nn.functional.cross_entropy(seen.reshape(-1, 7), wanted.reshape(-1))
    assert float(TokenLoss(shift=shift)({"logits": logits}, labels)) == pytest.approx(float(expected), rel=1e-6)


def test_smoothed_loss_is_that_of_smoothed_targets() -> None:
    """Each label keeps 1 - s of its probability, and s is spread over all tokens (Szegedy et al. 2016)."""
    logits, labels = torch.randn(2, 3, 5), torch.tensor([[1, 4, -100], [0, 2, 3]])
    targets = torch.nn.functional.one_hot(labels.clamp(min=0), 5) * 0.8 + 0.2 / 5
    by_token = -(targets * logits.log_softmax(-1)).sum(-1)
    expected = by_token[labels != -100].mean()
    found = TokenLoss(shift=False, smoothing=0.2)({"logits": logits}, labels)
    assert float(found) == pytest.approx(float(expected), rel=1e-6)


def test_smoothing_is_refused_by_a_loss_that_knows_none(still_t5: LoadedModel, lesson: Lesson) -> None:
    """A loss of one's own would ignore the setting without a word; one that says that it smooths is believed."""
    settings = SETTINGS.model_copy(update={"label_smoothing": 0.1})
    own = replace(lesson, loss=lambda outputs, labels, count: outputs.logits.sum())
    with pytest.raises(SettingsError, match=r"training.label_smoothing is 0\.1, and the loss of T5For"):
        fine_tune(still_t5.model, own, settings)
    assert choose_loss(still_t5.model, replace(own, smooths=True), settings) is own.loss


@pytest.fixture
def calls(still_t5: LoadedModel) -> Iterator[list[int]]:
    """Counts how often the first block of the encoder is computed."""
    counted: list[int] = []
    block = still_t5.model.encoder.block[0].layer[0]
    handle = block.register_forward_hook(lambda *_: counted.append(1))
    yield counted
    handle.remove()


def test_checkpointing_computes_twice_and_changes_nothing(
    still_t5: LoadedModel, lesson: Lesson, calls: list[int]
) -> None:
    """Activations are computed once more in the backward pass; weights end as without it, up to rounding."""
    plain = fine_tune(still_t5.model, lesson, SETTINGS)
    once = len(calls)
    saving = fine_tune(still_t5.model, lesson, SETTINGS.model_copy(update={"gradient_checkpointing": True}))
    assert len(calls) - once == 2 * once
    assert furthest(plain.model, saving.model) < 1e-3
    assert not saving.model.is_gradient_checkpointing


def test_what_a_model_cannot_do_is_an_error(still_t5: LoadedModel) -> None:
    """Asked for checkpointing, a model without it would train on as if nothing had been said."""
    model = copy.deepcopy(still_t5.model)
    model.supports_gradient_checkpointing = False
    with pytest.raises(SettingsError, match="T5ForConditionalGeneration cannot do it"):
        require_able(model, SETTINGS.model_copy(update={"gradient_checkpointing": True}))


def test_half_precision_ends_with_the_training(still_t5: LoadedModel, lesson: Lesson) -> None:
    """bfloat16 trains other weights, near those of float32; these are float32, and so is their evaluation."""
    plain = fine_tune(still_t5.model, lesson, SETTINGS)
    half = fine_tune(still_t5.model, lesson, SETTINGS.model_copy(update={"precision": "bfloat16"}))
    assert 0 < furthest(plain.model, half.model) < 0.01
    assert {weight.dtype for weight in half.model.parameters()} == {torch.float32}
    fresh = copy.deepcopy(still_t5.model)
    fresh.load_state_dict(half.model.state_dict())
    batch = lesson.collator([*map(dict, lesson.features)])
    with torch.no_grad():
        assert torch.equal(half.model(**batch).logits, fresh(**batch).logits)
    assert hash_weights(copy.deepcopy(half.model)) == hash_weights(half.model)


def test_precision_is_that_of_the_settings(
    still_t5: LoadedModel, lesson: Lesson, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not what the environment says, where transformers 4 leaves that of the training before."""
    plain = fine_tune(still_t5.model, lesson, SETTINGS)
    fine_tune(still_t5.model, lesson, SETTINGS.model_copy(update={"precision": "bfloat16"}))
    assert hash_weights(fine_tune(still_t5.model, lesson, SETTINGS).model) == hash_weights(plain.model)
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    assert hash_weights(fine_tune(still_t5.model, lesson, SETTINGS).model) == hash_weights(plain.model)
    assert os.environ["ACCELERATE_MIXED_PRECISION"] == "bf16"


def test_best_epoch_is_kept(still_t5: LoadedModel, lesson: Lesson) -> None:
    """A learning rate that ruins the model stops it after ``patience`` epochs, with the weights of the best one."""
    settings = SETTINGS.model_copy(
        update={"learning_rate": 0.3, "schedule": "constant", "epochs": 12, "patience": 2, "held_out": 0.25}
    )
    done = fine_tune(still_t5.model, lesson, settings)
    best = done.held_out_losses.index(min(done.held_out_losses))
    assert len(done.held_out_losses) == best + 3 < settings.epochs
    _, held = hold_out(lesson.features, range(8), share=0.25, seed=settings.seed)
    assert measure(done.model, lesson, held) == pytest.approx(done.held_out_losses[best], rel=1e-5)


def test_without_a_worse_epoch_nothing_stops(still_t5: LoadedModel, lesson: Lesson) -> None:
    """Each epoch is better than the one before, so all are run and the last is kept; 2 of 8 rows do not train."""
    done = fine_tune(still_t5.model, lesson, SETTINGS.model_copy(update={"epochs": 3, "patience": 1, "held_out": 0.25}))
    assert list(done.held_out_losses) == sorted(done.held_out_losses, reverse=True)
    assert len(done.held_out_losses) == 3
    assert len(done.losses) == 3 * 2


def measure(model: Any, lesson: Lesson, examples: list[Features]) -> float:
    """The mean loss over all tokens of some examples."""
    nats = tokens = 0.0
    with torch.no_grad():
        for example in examples:
            batch: Batch = lesson.collator([dict(example)])
            count = int((batch["labels"] != -100).sum())
            nats, tokens = nats + float(model(**batch).loss) * count, tokens + count
    return nats / tokens


@given(
    sizes=st.lists(st.integers(1, 4), min_size=2, max_size=30),
    share=st.floats(0.01, 0.6),
    seed=st.integers(0, 2**32 - 1),
)
def test_rows_are_held_out_as_wholes(sizes: list[int], share: float, seed: int) -> None:
    """No example is in both parts or lost, no row is divided, the share is kept, and the seed decides."""
    groups = [row for row, size in enumerate(sizes) for _ in range(size)]
    features: list[Features] = [{"row": row, "number": number} for number, row in enumerate(groups)]
    if max(1, round(share * len(sizes))) >= len(sizes):
        with pytest.raises(SettingsError, match="nothing is left to train on"):
            hold_out(features, groups, share=share, seed=seed)
        return
    train, held = hold_out(features, groups, share=share, seed=seed)
    assert sorted([*train, *held], key=lambda example: int(example["number"])) == features
    rows = {example["row"] for example in held}
    assert not rows & {example["row"] for example in train}
    assert len(rows) == max(1, round(share * len(sizes)))
    assert hold_out(features, groups, share=share, seed=seed) == (train, held)


def test_other_seed_holds_out_other_rows() -> None:
    """Which rows are held out is drawn."""
    features: list[Features] = [{"row": row} for row in range(50)]
    parts: Callable[[int], list[Features]] = lambda seed: hold_out(features, range(50), share=0.2, seed=seed)[1]  # noqa: E731
    assert parts(1) != parts(2)


def test_causal_model_is_smoothed_one_place_before() -> None:
    """A causal model gets a loss that shifts."""
    loaded = load_model(ModelSettings(name="tiny-llama"), auto_class="AutoModelForCausalLM")
    lesson = Lesson(tokenizer=loaded.tokenizer, features=(), collator=lambda features: {})
    chosen = choose_loss(loaded.model, lesson, SETTINGS.model_copy(update={"label_smoothing": 0.1}))
    assert chosen == TokenLoss(shift=True, smoothing=0.1)
