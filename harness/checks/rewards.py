"""Checks of rewards: they reach the tokens that earned them, and nothing that is masked has a say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from harness.checks.check import CheckFailed, CheckSkipped, PartError, check
from harness.checks.evidence import Evidence
from harness.checks.generating import closing_token

CLOSE = 1e-4
"""How far two sums of rewards may be apart."""
JUNK = 1e6
"""What stands at masked positions."""
GROUP = 4
"""Responses of a prompt."""


@check("I4", "rlhf", needs=("reinforcement.completion_mask", "tokenizer"))
def the_mask_keeps_whole_responses(evidence: Evidence) -> str:
    """The mask of finished responses has one 1 for each of their tokens, the closing one included."""
    stop = int(evidence.part("tokenizer").eos_token_id)
    responses = [[*range(10, 10 + length), stop] for length in (3, 1, 6, 9)]
    mask = evidence.call("reinforcement.completion_mask", responses)
    if not isinstance(mask, torch.Tensor) or mask.shape[:-1] != (len(responses),):
        raise PartError(f"completion_mask should return a tensor of shape ({len(responses)}, length).")
    counted, lengths = mask.long().sum(1).tolist(), [len(response) for response in responses]
    if counted == lengths:
        return f"responses of {lengths} tokens"
    raise CheckFailed(
        f"Responses of {lengths} tokens, closing token {stop} included, are masked to {counted}; the tokenizer pads "
        f"with {evidence.part('tokenizer').pad_token_id}.",
        suspects=("mask-inferred-from-token-value", "eos-masked-because-pad-is-eos"),
        remedy="Make the mask from lengths or from the first closing token, never from ids != pad: pad may be EOS.",
    )


@check("I15", "rlhf", needs=("reinforcement.token_rewards",))
def token_rewards_sum_to_the_score(evidence: Evidence) -> str:
    """The rewards of a response's real tokens sum to its score and its KL part; without tokens there are none."""
    mask = right_mask([5, 8, 0, 1, 7])
    scores = torch.tensor([0.5, -0.25, 0.75, 1.0, -1.0])
    nothing = torch.zeros(mask.shape)
    rewards = _matrix(evidence, "token_rewards", mask, scores, nothing, mask)
    totals, written = (rewards * mask).sum(1), mask.sum(1) > 0
    lost = [row for row in range(len(mask)) if written[row] and abs(float(totals[row] - scores[row])) > CLOSE]
    leaked = [row for row in range(len(mask)) if not written[row] and float(rewards[row].abs().sum()) > CLOSE]
    if lost or leaked:
        row = (lost or leaked)[0]
        raise CheckFailed(
            f"{len(lost)} of {int(written.sum())} responses lose their score, and {len(leaked)} of 1 without tokens "
            f"has rewards: with score {float(scores[row]):g} and {int(mask[row].sum())} tokens, row {row} is "
            f"{rounded(rewards[row])}.",
            suspects=(
                *(("reward-at-wrong-position",) if lost else ()),
                *(("empty-response-reward-leak",) if leaked else ()),
            ),
            remedy="Add the score at index length - 1 of each response that has tokens: the slot behind is masked.",
        )
    kl = torch.rand(mask.shape, generator=torch.Generator().manual_seed(evidence.seed))
    parts = (_matrix(evidence, "token_rewards", mask, scores, kl, mask) * mask).sum(1) - totals
    weights = (-parts / (kl * mask).sum(1))[written]
    expected = evidence.declared("beta")
    expected = float(weights[0]) if expected is None else expected
    if float((weights - expected).abs().max()) > CLOSE or expected < 0:
        raise CheckFailed(
            f"The KL of the responses' tokens enters their rewards with the weights "
            f"{rounded(weights)}; one weight of {expected:g} is expected.",
            suspects=("kl-sign-flipped", "reward-at-wrong-position"),
            remedy="Each real token's reward has minus beta times its KL.",
        )
    return f"{len(scores)} responses, beta {expected:g}"


@check("I3", "rlhf", needs=("reinforcement.advantages",))
def advantages_ignore_what_is_masked(evidence: Evidence) -> str:
    """Advantages of real tokens stay the same whatever stands at masked ones, and however many there are."""
    mask = right_mask([5, 8, 3, 7])
    generator = torch.Generator().manual_seed(evidence.seed)
    rewards, values = (torch.randn(mask.shape, generator=generator) * mask for _ in range(2))
    keep = mask.bool()
    clean = _matrix(evidence, "advantages", mask, rewards, values, mask)[keep]
    wider = [torch.nn.functional.pad(entry, (0, 6)) for entry in (rewards, values, mask)]
    changed = {
        "rewards of 1e6 at masked tokens": (rewards.masked_fill(~keep, JUNK), values, mask),
        "values of 1e6 at masked tokens": (rewards, values.masked_fill(~keep, JUNK), mask),
        "6 more masked columns": tuple(wider),
    }
    for what, inputs in changed.items():
        found = _matrix(evidence, "advantages", inputs[2], *inputs)[inputs[2].bool()]
        gap = float((found - clean).abs().max())
        if not gap <= CLOSE:
            raise CheckFailed(
                f"With {what} the advantages of real tokens differ by up to {gap:.4g}; they were between "
                f"{float(clean.min()):.3f} and {float(clean.max()):.3f}.",
                suspects=("advantage-over-masked-tokens",),
                remedy="Set rewards and values at masked tokens to 0 before estimating, and take mean and deviation "
                "over the mask.",
            )
    return f"{int(mask.sum())} real tokens beside {int((~keep).sum())} masked ones"


@check("I15", "rlhf", needs=("reinforcement.group_advantages",))
def group_advantages_compare_answers_to_one_prompt(evidence: Evidence) -> str:
    """The advantages of a prompt's responses sum to 0 and follow their scores; those without tokens tip none."""
    scores = torch.tensor([1.0, 0.0, 0.5, 0.25, 9.0, 7.0, 8.0, 6.0, 3.0, 3.0, 3.0, 3.0])
    found = _group_advantages(evidence, scores)
    sums = found.sum(1).abs()
    ordered = torch.equal(found[:2].argsort(1), scores.reshape(-1, GROUP)[:2].argsort(1))
    if not bool(found.isfinite().all()) or float(sums.max()) > CLOSE or not ordered:
        raise CheckFailed(
            f"Scores {scores.tolist()} in groups of {GROUP} become {rounded(found.flatten())}; the groups sum to "
            f"{rounded(found.sum(1))}.",
            suspects=(),
            remedy="Responses of one prompt stand together: reshape(-1, group), and compare within rows; equal scores "
            "give 0.",
        )
    if evidence.has("reinforcement.token_rewards"):
        mask = right_mask([5, 8, 0, 7])
        peers = []
        for score in (0.0, 10.0):
            given = torch.tensor([0.5, -0.25, score, 1.0])
            rewards = _matrix(evidence, "token_rewards", mask, given, torch.zeros(mask.shape), mask)
            peers.append(_group_advantages(evidence, rewards.sum(1))[0])
        gap = float((peers[1] - peers[0]).abs().max())
        if gap > CLOSE:
            raise CheckFailed(
                f"A response without tokens changes the advantages of its group by up to {gap:.3f} when its score goes "
                f"from 0 to 10: {rounded(peers[1])}.",
                suspects=("empty-response-reward-leak",),
                remedy="Write no reward for a response of length 0: index -1 is the end of the row.",
            )
    return f"{len(scores) // GROUP} groups of {GROUP}"


@check("I3", "rlhf", needs=("reinforcement.reward_scores", "make_model"))
def a_reward_is_that_of_the_answer(evidence: Evidence) -> str:
    """A reward model scores a text the same alone and in a padded batch, and another answer otherwise."""
    model = evidence.model()
    tokenizer = evidence.part("tokenizer") if evidence.has("tokenizer") else None
    config: Any = model.config
    stop = config.eos_token_id if tokenizer is None else closing_token(evidence, model)
    pad = config.pad_token_id if tokenizer is None else tokenizer.pad_token_id
    if stop is None or pad is None:
        raise CheckSkipped("neither tokenizer nor config name the tokens that end and pad a text")
    sides = ("left", "right") if tokenizer is None else (tokenizer.padding_side,)
    # Two turns: the first one is closed as the last one is, so a reader that stops at the first end reads the question.
    texts = [[11, 12, 13, stop, 20 + place, *range(30, 32 + 4 * place), stop] for place in range(4)]
    alone = [_scores(evidence, model, [text], pad, "right")[0] for text in texts]
    for side in sides:
        together = _scores(evidence, model, texts, pad, side)
        gaps = [abs(one - other) for one, other in zip(alone, together, strict=True)]
        if not max(gaps) <= CLOSE:
            raise CheckFailed(
                f"Padded on the {side}, {sum(gap > CLOSE for gap in gaps)} of {len(texts)} texts have another score "
                f"than alone, by up to {max(gaps):.4g}.",
                suspects=("reward-model-reads-wrong-token",),
                remedy="Read the score at the last position of the attention mask, on whichever side the padding is.",
            )
    answers = [[11, 12, 13, stop, *answer, stop] for answer in ([40, 41, 42], [50, 51, 52], [60, 61, 62])]
    scores = _scores(evidence, model, answers, pad, "right")
    if max(scores) - min(scores) <= CLOSE**2:
        raise CheckFailed(
            f"Three answers to one question have the same score, {scores[0]:.6f}: the score is read in the question.",
            suspects=("reward-model-reads-wrong-token",),
            remedy="Read the score at the last position of the attention mask; the first closing token may end a turn.",
        )
    return f"{len(texts)} texts alone and padded on the {' and '.join(sides)}, {len(answers)} answers"


def rounded(values: torch.Tensor) -> list[float]:
    """Numbers for a message."""
    return [round(float(value), 3) for value in values]


def right_mask(lengths: Sequence[int]) -> torch.Tensor:
    """1 for each real token, 0 behind: (batch, longest and one more) int64."""
    return (torch.arange(max(lengths) + 1) < torch.tensor(lengths)[:, None]).long()


def _matrix(evidence: Evidence, part: str, mask: torch.Tensor, *inputs: torch.Tensor) -> torch.Tensor:
    """What a part gives for each token; it may change its inputs without harm."""
    found = evidence.call(f"reinforcement.{part}", *(entry.clone() for entry in inputs))
    if not isinstance(found, torch.Tensor) or found.shape != mask.shape:
        raise PartError(f"{part} should return a tensor of shape {tuple(mask.shape)}.")
    return found.float()


def _group_advantages(evidence: Evidence, scores: torch.Tensor) -> torch.Tensor:
    found = evidence.call("reinforcement.group_advantages", scores.clone(), GROUP)
    if not isinstance(found, torch.Tensor) or found.numel() != len(scores):
        raise PartError(f"group_advantages should return a tensor of {len(scores)} numbers.")
    return found.float().reshape(-1, GROUP)


def _scores(evidence: Evidence, model: torch.nn.Module, texts: list[list[int]], pad: int, side: str) -> list[float]:
    """The scores of texts, padded on one side."""
    longest = max(map(len, texts))
    rows, masks = [], []
    for text in texts:
        fill, gap = [pad] * (longest - len(text)), [0] * (longest - len(text))
        rows.append([*fill, *text] if side == "left" else [*text, *fill])
        masks.append([*gap, *[1] * len(text)] if side == "left" else [*[1] * len(text), *gap])
    with torch.inference_mode():
        found: Any = evidence.call("reinforcement.reward_scores", model, torch.tensor(rows), torch.tensor(masks))
    if not isinstance(found, torch.Tensor) or found.numel() != len(texts):
        raise PartError(f"reward_scores should return a tensor of {len(texts)} numbers.")
    return [float(value) for value in found.flatten()]
