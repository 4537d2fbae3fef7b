"""Learning from preferences: a supervised start, a reward, and a policy that is optimised towards it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from transformers import PreTrainedModel

from harness import processes
from harness.config import RlhfSettings, TrainingSettings
from harness.data.rows import Row
from harness.data.source import NEWSROOM, further_rows
from harness.device import choose_device
from harness.errors import DataError
from harness.lesson import Lesson
from harness.methods.method import Adapted, Course, require_writing
from harness.methods.rlhf import causal, dpo, rloo
from harness.methods.rlhf.measure import Ruler
from harness.methods.rlhf.pairs import EncodedPair, Pair, encode_pairs, make_pairs, read_pairs
from harness.methods.rlhf.policy import Ids, make_reference
from harness.methods.rlhf.reward_model import LearnedReward, learn_reward, measure_accuracy
from harness.methods.rlhf.rewards import LEARNED, Reward, ask_reward, find_reward
from harness.training import fine_tune, own_precision, own_randomness


def tune(model: PreTrainedModel, course: Course, settings: TrainingSettings) -> Adapted:
    """Fine-tune a copy, and optimise it towards a reward or by pairs.

    Rows that nothing is learned from say what came of it.

    Args:
        model: the base; it stays as it is.
        course: rows and how they are put to the model; ``rlhf`` of its experiment has the settings.
        settings: those of the supervised start, the epochs apart.

    Raises:
        ModelError: the model has a head and writes no text.
        SettingsError: the reward cannot judge these rows.
        DataError: there are too few rows, or the pairs cannot be read.
    """
    plan = _plan(model, course)
    own = plan.settings
    lesson = Lesson(
        tokenizer=course.tokenizer,
        features=course.features[: len(plan.practice)],
        collator=course.collator,
        loss=course.loss,
        progress=course.progress.inside("start"),
    )
    started = fine_tune(model, lesson, settings.model_copy(update={"epochs": own.supervised_epochs}))
    # The supervised start may have another precision; a policy, its reference and its reward are compared in this one.
    with own_randomness(settings.seed), own_precision("float32"):
        start = make_reference(started.model).to(choose_device())
        reward, facts = _make_reward(plan, course, start, settings.seed)
        ruler = Ruler(form=course.form, loaded=course.loaded, rows=plan.unseen, reward=reward, reward_name=own.reward)
        before = ruler.measure(start)
        policy, losses = _optimise(plan, course, start, reward, settings.seed)
        kl = ruler.measure_kl(policy, start, seed=settings.seed)
        found = ruler.compare(before, ruler.measure(policy), kl)
    judged = tuple(("pairs of unseen rows judged right", "", f"{share:.3f}", "") for share in facts.values())
    return Adapted(
        model=policy.cpu().eval(),
        losses=(*started.losses, *losses),
        trainable_parameters=started.trainable_parameters,
        facts={**found.facts, **facts},
        tables=(replace(found.table, rows=(*found.table.rows, *judged)),),
        warnings=found.warnings,
    )


def require_fit(course: Course) -> None:
    """Make sure that the method can be used with this model and these rows.

    Raises:
        ModelError: the model has a head and writes no text.
        SettingsError: the reward cannot judge these rows.
        DataError: there are too few rows, or the pairs cannot be read.
    """
    processes.require_one('The method "rlhf"', why="Its policy answers and learns in one process.")
    _plan(course.loaded.model, course)


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What is learned from and what is not.

    Args:
        settings: of the method.
        practice: rows for the supervised start.
        answered: rows that the policy answers, and for which the newsroom writes pairs.
        unseen: rows to measure on.
        pairs: to learn from; none where only a rule is asked.
        test_pairs: to measure a reward model on.
    """

    settings: RlhfSettings
    practice: Sequence[Row]
    answered: Sequence[Row]
    unseen: Sequence[Row]
    pairs: Sequence[Pair] = ()
    test_pairs: Sequence[Pair] = ()


def _plan(model: PreTrainedModel, course: Course) -> _Plan:
    """Look at all that can be wrong before anything is trained."""
    settings = course.form.experiment.rlhf
    require_writing(course.form, "be rewarded")
    if not model.config.is_encoder_decoder:
        causal.require_trl()
    practice, answered, unseen = _part_rows(course)
    plan = _Plan(settings=settings, practice=practice, answered=answered, unseen=unseen)
    if settings.reward != LEARNED:
        find_reward(settings.reward, course.rows)
    if settings.algorithm == "rloo" and settings.reward != LEARNED:
        return plan
    if settings.pairs is None:
        return replace(plan, pairs=make_pairs(plan.answered), test_pairs=make_pairs(unseen))
    pairs, test_pairs = _part(read_pairs(Path(settings.pairs)), settings.held_out, "pairs")
    return replace(plan, pairs=pairs, test_pairs=test_pairs)


def _part_rows(course: Course) -> tuple[Sequence[Row], Sequence[Row], Sequence[Row]]:
    """Rows for the supervised start, to answer, and to measure on.

    The newsroom writes new ones: to those that the start saw it knows the answer by heart, and samples hardly differ.
    """
    experiment = course.form.experiment
    own = experiment.rlhf
    if experiment.data.source != NEWSROOM and not own.prompts:
        practice, unseen = _part(course.rows, own.held_out, "training rows")
        return practice, practice, unseen
    count = own.steps * own.batch_size if own.prompts is None else own.prompts
    new = further_rows(experiment.data, course.form.task, count + own.unseen)
    return course.rows, new[:count] or course.rows, new[count:]


def _part(entries: Sequence[Row] | Sequence[Pair], share: float, what: str) -> tuple[list, list]:  # type: ignore[type-arg]
    kept = len(entries) - round(share * len(entries))
    if not 0 < kept < len(entries):
        raise DataError(
            f"Of {len(entries)} {what} {kept} are to learn from and {len(entries) - kept} to measure on.",
            fix="Give more rows, or set rlhf.held_out to another share.",
        )
    return list(entries[:kept]), list(entries[kept:])


def _make_reward(plan: _Plan, course: Course, start: PreTrainedModel, seed: int) -> tuple[Reward, dict[str, float]]:
    """The reward, and of a learned one its accuracy on held-out pairs."""
    if plan.settings.reward != LEARNED:
        return find_reward(plan.settings.reward, course.rows), {}
    learned, held_out = (encode_pairs(pairs, course.form, course.loaded) for pairs in (plan.pairs, plan.test_pairs))
    model = learn_reward(start, learned, plan.settings, seed=seed)
    accuracy = measure_accuracy(model, held_out)
    return LearnedReward(model, course.form, course.loaded), {"pair_accuracy": accuracy}


def _optimise(
    plan: _Plan, course: Course, start: PreTrainedModel, reward: Reward, seed: int
) -> tuple[PreTrainedModel, tuple[float, ...]]:
    """A trained copy of the start, and its losses."""
    own, tokenizer, is_causal = plan.settings, course.tokenizer, not start.config.is_encoder_decoder
    if own.algorithm == "dpo":
        pairs: list[EncodedPair] = encode_pairs(plan.pairs, course.form, course.loaded)
        if is_causal:
            return causal.optimise_pairs(start, tokenizer, pairs, own, seed=seed)
        policy = make_reference(start).requires_grad_(requires_grad=True)
        return policy, dpo.optimise(policy, pairs, own, seed=seed)
    prompts: list[Ids] = [row.input_ids for row in course.form.encode(plan.answered, course.loaded)]

    def score_texts(places: Sequence[int], texts: Sequence[str]) -> list[float]:
        return ask_reward(reward, [text.strip() for text in texts], [plan.answered[place] for place in places])

    def score_ids(places: Sequence[int], answers: Sequence[Ids]) -> torch.Tensor:
        texts = tokenizer.batch_decode([list(answer) for answer in answers], skip_special_tokens=True)
        return torch.tensor(score_texts(places, texts))

    if is_causal:
        return causal.optimise_reward(start, tokenizer, prompts, score_texts, own, seed=seed)
    policy = make_reference(start).requires_grad_(requires_grad=True)
    return policy, rloo.optimise(policy, prompts, score_ids, own, seed=seed)
