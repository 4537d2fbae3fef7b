"""One training on several tasks: what is shared is one, and a step's loss is the weighted sum that it says it is."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from harness.errors import SettingsError
from harness.methods import Course
from harness.strategies.classroom import Classroom, measure_loss
from harness.strategies.ewc import Penalty, copy_weights, select_weights
from harness.strategies.mixing import Place, plan_batches
from harness.strategies.shared import SharedModel
from harness.strategies.together import require_plannable, teach_together, weigh_parts
from tests.strategies.test_shared import curriculum

Parts = dict[str, dict[str, torch.Tensor]]
BERT = ("classification", "ner")


def start(preset: str, *tasks: str) -> tuple[SharedModel, dict[str, Course]]:
    """The base without dropout, and what there is to learn."""
    prepared = curriculum(preset, *tasks)
    pupil = SharedModel.start(prepared)
    templates = {name: pupil.for_task(name) for name in tasks}
    for module in (module for model in templates.values() for module in model.modules()):
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        elif isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0
    return replace(pupil, templates=templates), {name: prepared[name].course(1) for name in tasks}


def collate(courses: Mapping[str, Course], count: int = 2) -> Parts:
    """The first examples of each task."""
    return {name: dict(course.collator([*map(dict, course.features[:count])])) for name, course in courses.items()}


def make_room(pupil: SharedModel, courses: Mapping[str, Course]) -> Classroom:
    """All tasks' models in one."""
    return Classroom(
        {task: pupil.for_task(task) for task in courses},
        [*pupil.body],
        {task: course.loss for task, course in courses.items()},
    )


@pytest.mark.parametrize(
    ("preset", "tasks"), [("multitask-bert", BERT), ("multitask-t5", ("summarization", "translation"))]
)
def test_body_is_one_and_heads_are_each_their_own(preset: str, tasks: tuple[str, str]) -> None:
    """The very same parameters stand in all models; what a model ties within itself stays tied; no weight is lost."""
    pupil, courses = start(preset, *tasks)
    room = make_room(pupil, courses)
    one, other = (dict(model.named_parameters(remove_duplicate=False)) for model in room.models)
    assert all((one[name] is other.get(name)) == (name in pupil.body) for name in one)
    single = [pupil.for_task(task) for task in tasks]
    tied = [sum(weight.numel() for weight in model.parameters()) for model in single]
    assert [sum(weight.numel() for weight in model.parameters()) for model in room.models] == tied
    own = sum(tensor.numel() for head in pupil.heads.values() for tensor in head.values())
    body = tied[0] - sum(tensor.numel() for tensor in pupil.heads[tasks[0]].values())
    assert sum(weight.numel() for weight in room.parameters()) == body + own


@pytest.mark.parametrize(
    ("preset", "tasks"), [("multitask-bert", BERT), ("multitask-t5", ("summarization", "translation"))]
)
def test_state_has_each_weight_once(preset: str, tasks: tuple[str, str], tmp_path: Path) -> None:
    """So safetensors can write it; loaded, it is whole for every task, and what is really missing is told."""
    pupil, courses = start(preset, *tasks)
    room, other = make_room(pupil, courses), make_room(pupil, courses)
    save_file(room.state_dict(), tmp_path / "state")
    with torch.no_grad():
        for weight in other.parameters():
            weight.zero_()
    state = load_file(tmp_path / "state")
    other.load_state_dict(state)
    for model, task in zip(other.models, tasks, strict=True):
        assert all(torch.equal(model.state_dict()[name], w) for name, w in pupil.for_task(task).state_dict().items())
    name, _ = state.popitem()
    assert other.load_state_dict(state, strict=False).missing_keys == [name]


@pytest.mark.parametrize(
    ("preset", "tasks"), [("multitask-bert", BERT), ("multitask-t5", ("summarization", "translation"))]
)
def test_gradient_is_the_weighted_sum_of_the_tasks(preset: str, tasks: tuple[str, str]) -> None:
    """Of the body; each task's gradient is taken from a model of its own."""
    pupil, courses = start(preset, *tasks)
    room, parts = make_room(pupil, courses), collate(courses)
    weights = dict(zip(tasks, (0.7, 2.0), strict=True))
    room(parts, {task: torch.tensor(weight) for task, weight in weights.items()})["loss"].backward()
    alone = {}
    for task, weight in weights.items():
        model = pupil.for_task(task)
        measure_loss(model, parts[task], courses[task].loss).backward()
        alone[task] = {
            name: weight * w.grad for name, w in select_weights(model, pupil.body).items() if w.grad is not None
        }
    shared = select_weights(room.models[0], pupil.body)
    assert shared
    for name, weight in shared.items():
        expected = sum(grads.get(name, torch.zeros_like(weight)) for grads in alone.values())
        found = torch.zeros_like(weight) if weight.grad is None else weight.grad
        assert torch.allclose(found, expected, atol=1e-5, rtol=1e-3), name


def test_what_a_part_counts_by_hand() -> None:
    """Two batches make a step of four examples, three of a (1, 2 and 1 labels) and one of b, whose loss counts double.

    The loss is 3/4 of the mean over the four labels of a, and 2 * 1/4 of the mean of b; the trainer halves it.
    """
    step: list[list[Place]] = [[("a", 0), ("b", 0)], [("a", 1), ("a", 2)]]
    first, second = weigh_parts(step, {"a": [1, 2, 1], "b": [5]}, {"b": 2.0})
    assert first == pytest.approx({"a": 2 * 3 / 4 * 1 / 4, "b": 2 * 2 / 4})
    assert second == pytest.approx({"a": 2 * 3 / 4 * 3 / 4})


@pytest.mark.parametrize(
    ("preset", "tasks"), [("multitask-bert", BERT), ("multitask-t5", ("summarization", "translation"))]
)
def test_a_step_does_not_depend_on_how_it_is_divided(
    preset: str, tasks: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six examples of two tasks give one loss and one gradient, as one batch or as three; the penalty counts once."""
    pupil, courses = start(preset, *tasks)
    gradients: list[list[torch.Tensor | None]] = []
    step = torch.optim.AdamW.step

    def keep(optimizer: torch.optim.AdamW, closure: Any = None) -> Any:
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        gradients.append([None if weight.grad is None else weight.grad.clone() for weight in weights])
        return step(optimizer, closure)

    monkeypatch.setattr(torch.optim.AdamW, "step", keep)
    anchor = copy_weights(select_weights(pupil.for_task(tasks[0]), pupil.body))
    away = {name: weight + 0.05 for name, weight in anchor.items()}
    penalty = Penalty(away, {name: torch.full_like(w, 1e-3) for name, w in away.items()}, strength=2.0)
    places: list[Place] = [(tasks[0], 0), (tasks[1], 0), (tasks[0], 1), (tasks[0], 2), (tasks[1], 1), (tasks[0], 3)]
    settings = next(iter(courses.values())).form.experiment.training.model_copy(update={"max_gradient_norm": 1e9})

    def train(batches: Sequence[Sequence[Place]]) -> tuple[float, ...]:
        accumulated = settings.model_copy(update={"accumulation": len(batches)})
        done = teach_together(pupil, courses, batches, accumulated, weights={tasks[1]: 3.0}, penalty=penalty)
        return done.losses

    whole, parts = train([places]), train([places[start : start + 2] for start in (0, 2, 4)])
    assert len(whole) == len(parts) == 1
    assert parts[0] == pytest.approx(whole[0], rel=1e-4)
    assert penalty({name: anchor[name] for name in away}).item() > 0.1 * whole[0]
    for ours, theirs in zip(*gradients, strict=True):
        assert (ours is None) == (theirs is None)
        assert ours is None or torch.allclose(ours, theirs, atol=1e-5, rtol=1e-3)


def test_examples_reach_the_model_in_the_order_of_the_plan() -> None:
    """Batch for batch; and what was seen is counted where the model reads it."""
    pupil, courses = start("multitask-bert", *BERT)
    seen: list[tuple[str, list[int]]] = []

    def watched(task: str, course: Course) -> Course:
        def collator(examples: list[dict[str, Any]]) -> dict[str, Any]:
            seen.append((task, [len(example["input_ids"]) for example in examples]))
            return course.collator(examples)

        return replace(course, collator=collator)

    watching = {task: watched(task, course) for task, course in courses.items()}
    counts = {"classification": 12, "ner": 4}
    rng = random.Random(1)
    batches = plan_batches(dict.fromkeys(counts, 8), counts, batch_size=4, one_task=True, rng=rng)
    settings = courses["ner"].form.experiment.training
    done = teach_together(pupil, watching, batches, settings, weights={})
    assert seen == [
        (batch[0][0], [len(courses[task].features[number]["input_ids"]) for task, number in batch]) for batch in batches
    ]
    assert done.seen == counts
    assert done.tell_mixture(courses) == {
        "share of classification": 0.75, "share of ner": 0.25, "epochs of classification": 1.5, "epochs of ner": 0.5
    }  # fmt: skip


def test_stopping_early_is_refused() -> None:
    """A plan has all epochs, and one body has no best epoch for each task."""
    settings = curriculum("multitask-bert", *BERT).subjects[0].experiment.training
    with pytest.raises(SettingsError, match=r"training\.patience is 2"):
        require_plannable(settings.model_copy(update={"patience": 2}))
