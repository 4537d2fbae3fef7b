"""One adapter a task: nothing is forgotten, what is saved loads with plain PEFT, and sums are what they say."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from peft import PeftModel

from harness.errors import ModelError, NameUnknownError, SettingsError, UsageError
from harness.fingerprint import hash_weights
from harness.methods.stored import StoredAdapter
from harness.multitask import load_multitask
from harness.strategies.adapter_set import AdapterSet
from harness.strategies.adapters import Adapters
from harness.strategies.composition import compose
from harness.strategies.curriculum import Curriculum, Subject, prepare_curriculum
from harness.strategies.strategy import Taught
from harness.tuning import Clock
from tests.methods.adapted import excite, logits_of

CHANGES = {"data.train_rows": 24, "data.eval_rows": 6, "encoding.max_input_tokens": 128, "training.epochs": 1}
TASKS = {"multitask-t5": ("summarization", "translation"), "multitask-bert": ("ner", "classification")}
"""Of each preset two tasks; the first head of the encoder has a conditional random field."""
KINDS = [(preset, method) for preset in TASKS for method in ("lora", "adapters")]


@cache
def strategy(preset: str, method: str, **adapters: object) -> Adapters:
    """The strategy over a few rows of two tasks."""
    multitask = load_multitask(preset, tasks=TASKS[preset])
    settings = multitask.adapters.model_copy(update={"method": method, **adapters})
    tasks = tuple(task.override({**CHANGES, "gate.require": None}) for task in multitask.tasks)
    small = multitask.model_copy(update={"strategy": "adapters", "tasks": tasks, "adapters": settings})
    return Adapters(curriculum=prepare_curriculum(small, clock=Clock(), say=lambda _: None), seed=1)


@cache
def stages(preset: str, method: str) -> tuple[Taught[AdapterSet], ...]:
    """Base, after the first task, after the second."""
    taught = [strategy(preset, method).begin()]
    for number in range(2):
        taught.append(strategy(preset, method).teach(number, taught[-1]))
    return tuple(taught)


def outputs(curriculum: Curriculum, pupil: AdapterSet, task: str) -> list[str]:
    """What the pupil answers to the evaluation rows of a task."""
    subject: Subject = curriculum[task]
    loaded = subject.ready.loaded.with_weights_of(pupil.for_task(task))
    made = subject.ready.form.predict(loaded, subject.splits.eval, subject.ready.evaluation, subject.settings)
    return [output.text for output in made]


@pytest.mark.parametrize(("preset", "method"), KINDS)
def test_what_was_learned_stays_bit_for_bit(preset: str, method: str) -> None:
    """A later task changes nothing of an earlier one: its weights, logits and outputs are the very same."""
    first, second = TASKS[preset]
    base, one, two = (taught.pupil for taught in stages(preset, method))
    curriculum = strategy(preset, method).curriculum
    assert hash_weights(one.for_task(first)) == hash_weights(two.for_task(first)) != hash_weights(base.for_task(first))
    assert torch.equal(logits_of(one.for_task(first)), logits_of(two.for_task(first)))
    assert outputs(curriculum, one, first) == outputs(curriculum, two, first)
    assert torch.equal(logits_of(one.for_task(second)), logits_of(base.for_task(second)))
    assert not torch.equal(logits_of(two.for_task(second)), logits_of(base.for_task(second)))


@pytest.mark.parametrize(("preset", "method"), KINDS)
def test_what_is_kept_of_a_model_is_all_that_it_learned(preset: str, method: str) -> None:
    """Taken off and put on a fresh base, adapter and head answer as before, whatever the model did since."""
    made, task = strategy(preset, method), TASKS[preset][0]
    template, form = made.begin().pupil.templates[task], made.curriculum[task].ready.form
    wrapped = made.method.wrap(template, form, seed=0)
    for part in ("lora_B", "bottleneck_up", "modules_to_save"):
        excite(wrapped, part)
    wanted, kept = logits_of(wrapped), StoredAdapter.of(wrapped)
    excite(wrapped, "lora_B"), excite(wrapped, "bottleneck_up")
    assert not torch.equal(logits_of(wrapped), wanted)
    assert torch.equal(logits_of(kept.put_on(template)), wanted)


@pytest.mark.parametrize(("preset", "method"), KINDS)
def test_body_is_the_base_under_every_adapter(preset: str, method: str) -> None:
    """With adapters off only the head differs from the base, and only few weights were trained."""
    taught = stages(preset, method)[-1]
    for task, template in taught.pupil.templates.items():
        plain = taught.pupil.adapters[task].without_head().put_on(template)
        with plain.disable_adapter():
            assert torch.equal(logits_of(plain), logits_of(template))
    assert 0 < taught.trainable_parameters < 0.5 * template.num_parameters()
    assert taught.facts["adapter_bytes"] > 4 * taught.trainable_parameters


@pytest.mark.parametrize(("preset", "method"), KINDS)
def test_saved_adapters_are_restored_and_load_with_plain_peft(preset: str, method: str, tmp_path: Path) -> None:
    """Restored, every task answers bit for bit as before; so does PEFT's own loader on a plain base."""
    pupil = stages(preset, method)[-1].pupil
    pupil.save(tmp_path)
    restored = stages(preset, method)[0].pupil.restore(tmp_path)
    for task, template in pupil.templates.items():
        wanted = logits_of(pupil.for_task(task))
        assert torch.equal(logits_of(restored.for_task(task)), wanted)
        assert torch.equal(logits_of(PeftModel.from_pretrained(copy.deepcopy(template), tmp_path / task)), wanted)


@pytest.mark.parametrize(("preset", "method"), KINDS)
def test_composing_with_weights_one_and_zero_is_the_one(preset: str, method: str) -> None:
    """The sum is what its weights say, adapters can be switched by name, and off is the base."""
    first, second = TASKS[preset]
    pupil = stages(preset, method)[-1].pupil
    alone = logits_of(pupil.for_task(first))
    one = compose(pupil, {first: 1.0, second: 0.0}, head=first)
    torch.testing.assert_close(logits_of(one), alone, atol=1e-4, rtol=1e-4)
    none = compose(pupil, {first: 0.0, second: 0.0}, head=first)
    both = compose(pupil, {first: 0.5, second: 0.5}, head=first)
    with both.disable_adapter():
        off = logits_of(both)
    torch.testing.assert_close(logits_of(none), off, atol=1e-4, rtol=1e-4)
    for other in (alone, off):
        assert not torch.allclose(logits_of(both), other, atol=1e-3)
    both.set_adapter(first)
    assert torch.equal(logits_of(both), alone)


def test_what_cannot_be_composed_is_said() -> None:
    """An unknown task, one without an adapter, none at all, and bottlenecks taken for matrices."""
    _, one, two = (taught.pupil for taught in stages("multitask-t5", "adapters"))
    with pytest.raises(NameUnknownError, match="summarization"):
        compose(two, {"sumarization": 1.0}, head="translation")
    with pytest.raises(UsageError, match=r'"translation" has no adapter.* of: summarization'):
        compose(one, {"summarization": 1.0}, head="translation")
    with pytest.raises(UsageError, match="No adapter is named"):
        compose(two, {}, head="translation")
    with pytest.raises(UsageError, match="bottlenecks"):
        compose(two, {"summarization": 1.0, "translation": 1.0}, head="translation", combination="svd")


def with_start(tmp_path: Path, method: str = "lora", task: str = "summarization") -> Adapters:
    """The strategy, told to begin with a stored adapter."""
    made = strategy("multitask-t5", method)
    settings = made.curriculum.multitask.adapters.model_copy(update={"begin_from": {task: str(tmp_path)}})
    multitask = made.curriculum.multitask.model_copy(update={"adapters": settings})
    return Adapters(curriculum=Curriculum(multitask=multitask, subjects=made.curriculum.subjects), seed=1)


def test_a_run_can_begin_with_a_stored_adapter(tmp_path: Path) -> None:
    """It answers from the start as it did when it was stored, and learns on from there."""
    stored = stages("multitask-t5", "lora")[-1].pupil
    stored.save(tmp_path)
    begun = with_start(tmp_path / "summarization").begin()
    assert torch.equal(*(logits_of(p.for_task("summarization")) for p in (begun.pupil, stored)))
    further = with_start(tmp_path / "summarization").teach(0, begun)
    assert further.losses[0] < stages("multitask-t5", "lora")[1].losses[0]
    assert not torch.equal(*(logits_of(p.for_task("summarization")) for p in (begun.pupil, further.pupil)))


def test_adapter_for_another_base_is_refused(tmp_path: Path) -> None:
    """Nothing trains: the message has both hashes. Without a hash it is refused as well."""
    stages("multitask-t5", "lora")[-1].pupil.save(tmp_path)
    folder = tmp_path / "summarization"
    record = folder / "base.json"
    record.write_text(json.dumps({"sha256": "0123456789abcdef"}))
    base = stages("multitask-t5", "lora")[0].pupil.base
    with pytest.raises(ModelError, match=rf"another base: sha256 01234567….* {base[:8]}…"):
        with_start(folder).begin()
    with pytest.raises(ModelError, match="another base"):
        stages("multitask-t5", "lora")[0].pupil.restore(tmp_path)
    record.unlink()
    with pytest.raises(ModelError, match=r"needs base\.json"):
        with_start(folder).begin()


def test_adapter_that_does_not_fit_the_settings_is_refused(tmp_path: Path) -> None:
    """One of another kind, and one for no task."""
    stages("multitask-t5", "lora")[-1].pupil.save(tmp_path)
    with pytest.raises(
        SettingsError, match=r'given for "summarization" is not as the settings would make it: .*missing'
    ):
        with_start(tmp_path / "summarization", method="adapters").begin()
    with pytest.raises(SettingsError, match=r'"nothing", which is none of the tasks'):
        with_start(tmp_path / "summarization", task="nothing").begin()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [("lora.targets", ["nothing"], r"Set lora\.targets to ends"), ("lora.quantization", "nf4", "keeps one base")],
)
def test_base_that_cannot_have_such_adapters_is_refused(name: str, value: object, says: str) -> None:
    """Layers that there are not, and a base in four bits that would have to be kept beside the whole one."""
    curriculum = strategy("multitask-t5", "lora").curriculum
    first, second = curriculum.subjects
    changed = first.experiment.override({name: value})
    form = replace(first.ready.form, experiment=changed)
    wrong = replace(first, experiment=changed, ready=replace(first.ready, form=form))
    with pytest.raises(SettingsError, match=says):
        Adapters(curriculum=replace(curriculum, subjects=(wrong, second)), seed=1).begin()


def test_hash_of_the_base_leaves_heads_out() -> None:
    """All tasks of an encoder stand on one base, though their heads differ; a moved body is another base."""
    curriculum = strategy("multitask-bert", "lora").curriculum
    turned = Curriculum(multitask=curriculum.multitask, subjects=curriculum.subjects[::-1])
    assert AdapterSet.start(turned).base == AdapterSet.start(curriculum).base
