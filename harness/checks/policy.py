"""Checks of policy optimisation: where samples come from, what they are compared with, and which way the loss pulls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from harness.checks.check import CheckFailed, CheckSkipped, PartError, check
from harness.checks.evidence import Evidence
from harness.checks.generating import closing_token
from harness.checks.oracle import drawing, output_head
from harness.checks.recorder import changed_parameters, state_of
from harness.checks.sampling import Ids, divergent_logprobs, known_policy, weigh

CLOSE = 1e-4
"""How far log-probabilities may be apart, in nats; float32 is good for 1e-5."""
RARE = 5.0
"""Standard errors beyond which a difference is no accident: it happens once in two million honest runs."""
DRAWS = 128
"""Prompts that are answered to see what is sampled."""


@check("I15", "rlhf", needs=("reinforcement.make_reference", "make_model"))
def the_reference_stays_while_the_policy_moves(evidence: Evidence) -> str:
    """The reference is a model of its own, whose weights do not move with the policy's."""
    policy = evidence.model()
    reference = evidence.call("reinforcement.make_reference", policy)
    if hasattr(policy, "disable_adapter") and (reference is None or reference is policy):
        raise CheckSkipped("the reference is the policy without its adapter")
    if reference is not None and not isinstance(reference, torch.nn.Module):
        raise PartError(f"make_reference returned a {type(reference).__name__}; expected a model.")
    moved = 0
    if reference is not None:
        before = state_of(reference)
        nudge(policy)
        moved = len(changed_parameters(before, state_of(reference)))
        if not moved:
            return f"{len(before)} tensors stay"
    seen = "is None" if reference is None else f"moved in {moved} of {len(before)} tensors when the policy moved"
    raise CheckFailed(
        f"The reference {seen}, so it is the policy: the KL is always 0, and a preference loss stays at ln 2.",
        suspects=("reference-model-is-the-policy",),
        remedy="Copy the policy before training (copy.deepcopy, then requires_grad_(False)), or load it a second time.",
    )


@check("I15", "rlhf", needs=("reinforcement.rollout_logprobs", "reinforcement.training_logprobs", "make_model"))
def the_first_ratio_is_one(evidence: Evidence) -> str:
    """Before any update, training gives each sampled token the log-probability that it had at sampling."""
    policy, (prompts, responses) = evidence.model(), _rollout(evidence)
    old = _logprobs(evidence, "rollout_logprobs", policy, prompts, responses)
    new = _logprobs(evidence, "training_logprobs", policy, prompts, responses)
    _compare("the ratio of new to old probability is not 1", old, new)
    alone = [
        _logprobs(evidence, "training_logprobs", policy, [prompt], [response])[0]
        for prompt, response in zip(prompts, responses, strict=True)
    ]
    _compare("a row's probabilities depend on the rows beside it", alone, new)
    if evidence.has("reinforcement.make_reference"):
        reference = evidence.call("reinforcement.make_reference", policy)
        if isinstance(reference, torch.nn.Module) and not changed_parameters(state_of(policy), state_of(reference)):
            frozen = _logprobs(evidence, "training_logprobs", reference, prompts, responses)
            _compare("the KL to a reference of equal weights is not 0", frozen, new)
    return f"{sum(map(len, responses))} tokens of {len(responses)} responses"


@check("I15", "rlhf", needs=("reinforcement.policy_loss",))
def the_policy_loss_pulls_the_right_way(evidence: Evidence) -> str:
    """The loss rewards good tokens, holds the policy near its reference, and looks at real tokens alone."""
    options = {"beta": evidence.declared("beta")} if evidence.declared("beta") is not None else {}
    generator = torch.Generator().manual_seed(evidence.seed)
    own, reference = divergent_logprobs(generator, rows=16, length=32)
    mask = torch.ones_like(own, dtype=torch.int64)
    mask[1::2, 20:] = 0
    nothing = torch.zeros_like(own)

    def loss(logprobs: torch.Tensor, anchor: torch.Tensor, advantages: torch.Tensor, **more: Any) -> torch.Tensor:
        found = evidence.call("reinforcement.policy_loss", logprobs, own, anchor, advantages, mask, **options | more)
        if not isinstance(found, torch.Tensor) or found.numel() != 1:
            raise PartError("policy_loss should return a tensor with one value.")
        return found.reshape(())

    seen = {}
    near, far = float(loss(own, own, nothing)), float(loss(own, reference, nothing))
    seen["grows with the KL by"] = far - near
    if far != near:  # otherwise the KL term stands in the reward, or there is none
        moving = own.clone().requires_grad_()
        pull = loss(moving, reference, nothing)
        (slope,) = torch.autograd.grad(pull, moving) if pull.requires_grad else (nothing,)
        seen["rises along the way from the reference by"] = float((slope * (own - reference) * mask).sum())
        if evidence.accepts("reinforcement.policy_loss", "beta"):
            seen["grows with beta by"] = float(
                loss(own, reference, nothing, beta=0.2) - loss(own, reference, nothing, beta=0.1)
            )
    wrong = [f"{what} {value:+.5f}" for what, value in seen.items() if value < 0]
    if far != near and not seen["rises along the way from the reference by"]:
        wrong.append("gives the KL term no gradient")
    if wrong:
        raise CheckFailed(
            f"With advantages of 0 and a policy that has left its reference, the loss {', '.join(wrong)}.",
            suspects=("kl-sign-flipped",),
            remedy="The loss is minimised, so the KL term is added to it: loss = policy_loss + beta * kl.",
        )
    moving = own.clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss(moving, own, torch.ones_like(own)), moving)
    junk = torch.where(mask.bool(), nothing, torch.full_like(nothing, 1e6))
    moved = float((loss(own, reference, junk) - loss(own, reference, nothing)).abs())
    if float((slope * mask).sum()) >= 0 or moved > CLOSE:
        raise CheckFailed(
            f"Tokens of advantage +1 change the loss by {float((slope * mask).sum()):+.5f} as they become likelier, "
            f"and advantages of 1e6 at masked tokens by {moved:.5g}.",
            suspects=("advantage-over-masked-tokens",) if moved > CLOSE else (),
            remedy="Minimise minus ratio times advantage, averaged over the tokens of the mask.",
        )
    return f"the loss {', '.join(f'{what} {value:+.4f}' for what, value in seen.items())}"


@check("I15", "rlhf", needs=("reinforcement.sample", "make_model", "tokenizer"))
def samples_come_from_the_policy(evidence: Evidence) -> str:
    """Sampled tokens are as surprising, and end as often, as their own log-probabilities say."""
    model = evidence.model()
    stop = closing_token(evidence, model)
    choices, logits = known_policy(evidence.part("tokenizer"), stop, _vocabulary(model))
    prompts = _prompts(evidence, 4)
    with drawing(model, logits), torch.no_grad():
        asked = [prompts[place % len(prompts)] for place in range(DRAWS)]
        drawn = _tokens(evidence.call("reinforcement.sample", model, asked, seed=evidence.seed))
        logprobs = _scored(evidence, model, prompts[0][:2], choices, logits)
    draw = weigh(drawn, logprobs, stop)
    if not draw.foreign and abs(draw.z_surprise) < RARE and abs(draw.z_ends) < RARE:
        return f"{draw.tokens} tokens, {draw.surprise:.3f} nats each where the entropy is {draw.entropy:.3f}"
    raise CheckFailed(
        f"{draw.tokens} sampled tokens have a mean surprise of {draw.surprise:.3f} nats where the entropy is "
        f"{draw.entropy:.3f} ({draw.z_surprise:+.0f} standard errors); {draw.ends} of them end a response where "
        f"{draw.expected_ends:.0f} are expected ({draw.z_ends:+.0f}); {draw.foreign} are none of the policy's.",
        suspects=("negative-kl-from-sampling-settings",),
        remedy="Sample with do_sample=True, top_k=0, top_p=1, no minimum length and no forced tokens, and scale the "
        "logits by the same temperature for sampling and for log-probabilities.",
    )


@check("I2", "rlhf", needs=("reinforcement.rollout_prompt", "reinforcement.training_prompt"))
def responses_follow_the_same_prompt_in_training(evidence: Evidence) -> str:
    """The prompt that is sampled from and the prompt in the loss have the same ids, also where it is long."""
    rows = evidence.rows()
    try:
        texts = [(str(evidence.column(row, "input")), evidence.column(row, "target")) for row in rows[:2]]
        long = evidence.with_texts([(" ".join([text] * 40), target) for text, target in texts])
    except CheckSkipped:
        long = []
    for row in [*rows, *long]:
        sampled, trained = (
            [int(token) for token in evidence.call(f"reinforcement.{part}", row)]
            for part in ("rollout_prompt", "training_prompt")
        )
        if sampled != trained:
            raise CheckFailed(
                f"A prompt has {len(sampled)} ids where it is sampled from and {len(trained)} in the loss; the input "
                f"has {len(str(evidence.column(row, 'input')))} letters.",
                suspects=("rollout-prompt-differs-from-training-prompt", "train-inference-prompt-skew"),
                remedy="Encode and cut each prompt once, and use those ids for both.",
            )
    return f"{len(rows)} rows and {len(long)} long ones"


def _vocabulary(model: torch.nn.Module) -> int:
    weight: Any = output_head(model).weight
    return len(weight)


def nudge(model: torch.nn.Module, size: float = 0.01) -> None:
    """Move every weight in place, as an optimizer step would."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(size)


def _scored(evidence: Evidence, model: torch.nn.Module, prompt: Ids, choices: Ids, logits: torch.Tensor) -> Any:
    """The log-probability of each choice as the pipeline scores it, or else by plain log-softmax."""
    if evidence.has("reinforcement.rollout_logprobs"):
        rows = [[choice] for choice in choices]
        scored = evidence.call("reinforcement.rollout_logprobs", model, [prompt] * len(rows), rows)[:, 0]
    else:
        scored = logits.log_softmax(-1)[choices]
    return {choice: float(value) for choice, value in zip(choices, scored, strict=True)}


def _prompts(evidence: Evidence, count: int) -> list[Ids]:
    """Prompts of uneven lengths as ids: the user's, or else some ids."""
    part = next((name for name in ("rollout_prompt", "training_prompt") if evidence.has(f"reinforcement.{name}")), None)
    if part is None:
        return [list(range(10, 20 + 3 * place)) for place in range(count)]
    prompts = [[int(token) for token in evidence.call(f"reinforcement.{part}", row)] for row in evidence.rows(count)]
    return [prompt[-max(2, len(prompt) - 4 * place) :] for place, prompt in enumerate(prompts)]


def _rollout(evidence: Evidence) -> tuple[list[Ids], list[Ids]]:
    """Prompts and responses, both of uneven lengths."""
    prompts = _prompts(evidence, 4)
    generator = torch.Generator().manual_seed(evidence.seed)
    responses = [torch.randint(10, 90, (4 + 3 * place,), generator=generator).tolist() for place in range(len(prompts))]
    return prompts, responses


def _logprobs(
    evidence: Evidence, part: str, policy: torch.nn.Module, prompts: list[Ids], responses: list[Ids]
) -> list[torch.Tensor]:
    """The log-probabilities of each response's own tokens."""
    with torch.no_grad():
        found = evidence.call(f"reinforcement.{part}", policy, prompts, responses)
    longest = max(map(len, responses))
    if not isinstance(found, torch.Tensor) or found.shape[:1] != (len(responses),) or found.shape[-1] < longest:
        raise PartError(f"{part} should return a tensor of shape ({len(responses)}, {longest}).")
    return [row[: len(response)].float() for row, response in zip(found, responses, strict=True)]


def _compare(what: str, first: Sequence[torch.Tensor], second: Sequence[torch.Tensor]) -> None:
    """Make sure that log-probabilities are equal.

    Raises:
        CheckFailed: they are not.
    """
    gaps = [float((one - other).abs().max()) for one, other in zip(first, second, strict=True)]
    if max(gaps) > CLOSE or any(map(math.isnan, gaps)):
        raise CheckFailed(
            f"Without any update, {what}: log-probabilities differ by up to {max(gaps):.4g} nats "
            f"({', '.join(f'{gap:.2g}' for gap in gaps)} in the rows).",
            suspects=("ppo-ratio-not-one-at-start", "dropout-active-in-eval"),
            remedy="Switch dropout off for the policy (model.eval()), and use the same padding, positions and "
            "precision at sampling and in training.",
        )


def _tokens(responses: Any) -> list[Ids]:
    return [[int(token) for token in response] for response in responses]
