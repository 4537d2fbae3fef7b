"""The groups of parts that only some pipelines have; see `harness.checks.pipeline` for how parts are called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Part = Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class AdapterParts:
    """Parameter-efficient fine-tuning; ``make_model`` then returns the base without an adapter.

    Args:
        wrap: ``(base) -> model`` with a fresh adapter to train.
        save: ``(model, folder)``: the adapter alone.
        load: ``(base, folder) -> model``: the base with the saved adapter; may take ``trainable`` to train on.
        merge: ``(model) -> model`` with the adapter folded into the weights.
        baseline: ``(model) -> model or context``: how the base's scores are obtained from the tuned model; may take
            ``base``, the object that the adapter was put on.
        load_each: ``(base, folders) -> iterator of models``: how several saved adapters are compared.
    """

    wrap: Part | None = None
    save: Part | None = None
    load: Part | None = None
    merge: Part | None = None
    baseline: Part | None = None
    load_each: Part | None = None


@dataclass(frozen=True, kw_only=True)
class ReinforcementParts:
    """Preference and reinforcement learning. Shapes: batch rows, each with ``length`` response tokens.

    Prompts and responses are lists of token ids without padding; where they become a tensor, a response begins at its
    first column and what is behind its end may be anything.

    Args:
        preferences: ``() -> [{"prompt", "chosen", "rejected"}]``, perhaps with ``"reference"``, a good answer.
        encode_pair: ``(pair) -> {"chosen_input_ids", "chosen_labels", "rejected_input_ids", "rejected_labels"}``.
        make_reference: ``(policy) -> model``: the frozen reference, called before the policy trains.
        sample: ``(policy, prompts, seed) -> [token ids]``: one response for each prompt, up to and with its EOS.
        rollout_logprobs: ``(policy, prompts, responses) -> (batch, length)`` at sampling time, float.
        training_logprobs: the same at training time, before any update.
        rollout_prompt: ``(row) -> token ids`` that are sampled from.
        training_prompt: ``(row) -> token ids`` that stand before the response in the loss.
        completion_mask: ``(responses) -> (batch, length)`` of 0 and 1: which tokens of padded responses count.
        token_rewards: ``(scores, kl, mask) -> (batch, length)``: the score of each row spread over its tokens, with
            ``kl`` and ``mask`` of shape (batch, length) and ``scores`` of shape (batch,).
        advantages: ``(rewards, values, mask) -> (batch, length)``.
        group_advantages: ``(scores, group) -> (batch,)``: scores of ``group`` responses per prompt, made comparable.
        policy_loss: ``(logprobs, old_logprobs, reference_logprobs, advantages, mask) -> scalar``; may take ``beta``.
        preference_loss: ``(policy, reference, pairs) -> scalar`` over pairs as ``preferences`` gives them.
        reward: ``(prompts, responses) -> one number a pair of texts``.
        reward_scores: ``(model, input_ids, attention_mask) -> (batch,)``: a reward model's scores; ``make_model`` then
            makes the reward model.
    """

    preferences: Part | None = None
    encode_pair: Part | None = None
    make_reference: Part | None = None
    sample: Part | None = None
    rollout_logprobs: Part | None = None
    training_logprobs: Part | None = None
    rollout_prompt: Part | None = None
    training_prompt: Part | None = None
    completion_mask: Part | None = None
    token_rewards: Part | None = None
    advantages: Part | None = None
    group_advantages: Part | None = None
    policy_loss: Part | None = None
    preference_loss: Part | None = None
    reward: Part | None = None
    reward_scores: Part | None = None


@dataclass(frozen=True, kw_only=True)
class MultitaskParts:
    """Several tasks on one model.

    Args:
        tasks: ``() -> {task: {"train": rows, "eval": rows}}``, in the order in which they are learned.
        mixture: ``(seed) -> iterator of (task, row)``: what one epoch of joint training really consumes.
        train_task: ``(model, task, rows) -> model``: learns one more task.
        add_task: ``(model, task) -> model``: makes room for a task (a head, an adapter) without training it.
        predict: ``(model, task, rows) -> (rows, ...) tensor`` of logits.
        loss: ``(model, task, rows) -> scalar tensor``.
        fisher: ``(model, task, rows) -> {parameter name: tensor}``; may take ``batch_size``.
        anchor: ``(model) -> {parameter name: tensor}``: the weights that are to be remembered.
        penalty: ``(model, anchor, fisher) -> scalar tensor``.
        replay_buffer: ``() -> {task: rows}``: what the memory holds, of whichever tasks, after this task was learned;
            for each task of ``tasks`` but the last.
        forgetting: ``(R) -> float``: R[i, j] is the score on task j after learning task i, (tasks, tasks) float64.
        backward_transfer: ``(R) -> float``.
    """

    tasks: Part | None = None
    mixture: Part | None = None
    train_task: Part | None = None
    add_task: Part | None = None
    predict: Part | None = None
    loss: Part | None = None
    fisher: Part | None = None
    anchor: Part | None = None
    penalty: Part | None = None
    replay_buffer: Part | None = None
    forgetting: Part | None = None
    backward_transfer: Part | None = None


@dataclass(frozen=True, kw_only=True)
class ComparisonParts:
    """Comparing a candidate with a baseline.

    Args:
        arms: ``() -> {"base": arm, "tuned": arm}``: an arm is a mapping with what is known of ``ids``, ``inputs`` (what
            the model read), ``references``, ``outputs``, ``scores`` ({metric: row scores}), ``reported`` ({metric:
            value}), ``generation`` (resolved settings), ``signatures`` ({metric: text}) and ``model``.
        base_metric: ``(outputs, references) -> {metric: value}`` as it scores the baseline; the candidate's is
            ``Pipeline.metric``.
        base_postprocess: ``(text) -> text`` for the baseline's outputs.
        postprocess: ``(text) -> text`` for the candidate's outputs.
        decide: ``(base_scores, tuned_scores) -> bool``: "tuned is different"; row scores of one run each, as lists.
        decide_runs: ``(base_runs, tuned_runs) -> bool``: the same from several seeds, lists of (rows,) scores.
        summarise_base: ``(scores of several seeds) -> float`` that is reported for the baseline.
        summarise_tuned: the same for the candidate.
        evaluate: ``(folder)``: the whole evaluation against the baseline stored in ``folder``.
        selection_rows: ``() -> rows`` that chose the checkpoint, the threshold or the prompt.
        reported_rows: ``() -> rows`` that the reported score is from.
        threshold: ``{metric: value}``: what the gate demands of a score or of a difference.
    """

    arms: Part | None = None
    base_metric: Part | None = None
    base_postprocess: Part | None = None
    postprocess: Part | None = None
    decide: Part | None = None
    decide_runs: Part | None = None
    summarise_base: Part | None = None
    summarise_tuned: Part | None = None
    evaluate: Part | None = None
    selection_rows: Part | None = None
    reported_rows: Part | None = None
    threshold: Mapping[str, float] | None = None
