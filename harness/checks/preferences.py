"""Checks of preference data: the better answer is the chosen one, and both are treated alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch

from harness.checks.check import CheckFailed, CheckSkipped, PartError, check
from harness.checks.evidence import Evidence

LEAD = 0.1
"""By how much a rejected answer must be closer to the reference before it counts as the better one."""
TOLERATED = {"overlap with the reference": 0.1, "the reward": 0.4}
"""Share of pairs that may stand against each scorer: preferences are noisy, and rewards that were learned more so."""
CLUSTERED = -4.0
"""Standard errors below which so few runs of agreement and disagreement are no accident."""
LONG = 40
"""How often a text is repeated to become longer than any limit."""
STEP = 1e-2
"""Length of a step in weight space, relative to the weights."""

Pair = Mapping[str, Any]


@check("I13", "rlhf", needs=("reinforcement.preferences",))
def chosen_answers_are_the_better_ones(evidence: Evidence) -> str:
    """Chosen answers are closer to the reference, or have the higher reward, than rejected ones."""
    pairs = _pairs(evidence, None)
    leads, by = _leads(evidence, pairs)
    against = [place for place, lead in enumerate(leads) if lead < 0]
    runs = runs_score([lead < 0 for lead in leads])
    if len(against) <= TOLERATED[by] * len(pairs) and runs > CLUSTERED:
        return f"{len(pairs)} pairs by {by}, {len(against)} against it"
    first = against[0]
    raise CheckFailed(
        f"In {len(against)} of {len(pairs)} pairs the rejected answer is the better one by {by}: pairs {first} to "
        f"{against[-1]}, {'in one piece' if runs <= CLUSTERED else 'scattered'}. Pair {first}: chosen "
        f"{pairs[first]['chosen']!r}, rejected {pairs[first]['rejected']!r}.",
        suspects=("chosen-rejected-swapped",),
        remedy="Look at how each source names its columns and at what sorts or joins them; keep a few pairs whose "
        "better answer is known as a test.",
    )


@check("I4", "rlhf", needs=("reinforcement.preferences", "reinforcement.encode_pair"))
def both_answers_follow_the_same_prompt(evidence: Evidence) -> str:
    """Both encoded answers of a pair stand behind the same prompt ids, whatever the lengths."""
    pairs = _pairs(evidence, 4)
    probes = [
        stretched(pair, prompt=prompt, chosen=chosen) for pair in pairs for prompt in (1, 8, LONG) for chosen in (1, 4)
    ]
    for pair in [*_pairs(evidence, 64), *probes]:
        chosen, rejected = (_prompt_ids(*side) for side in _sides(evidence, pair).values())
        if chosen != rejected:
            same = sum(1 for one, other in zip(chosen, rejected, strict=False) if one == other)
            raise CheckFailed(
                f"The chosen answer stands behind {len(chosen)} prompt tokens and the rejected one behind "
                f"{len(rejected)}; {same} of them are equal. The prompt has {len(str(pair['prompt']))} letters, the "
                f"answers {len(str(pair['chosen']))} and {len(str(pair['rejected']))}.",
                suspects=("pair-uses-different-prompts", "prompt-truncated-on-wrong-side"),
                remedy="Encode and cut the prompt once, and put both answers behind it.",
            )
    return f"{len(pairs) + len(probes)} pairs of short and long texts"


@check("I4", "rlhf", needs=("reinforcement.preferences", "reinforcement.encode_pair"))
def a_long_answer_does_not_shorten_the_other(evidence: Evidence) -> str:
    """Each answer of a pair keeps its tokens, however long the other one is."""
    for pair in _pairs(evidence, 64):
        for side, encoded in _sides(evidence, pair).items():
            if not _answer_ids(*encoded):
                raise CheckFailed(
                    f"No token of the {side} answer {pair[side]!r} is supervised.",
                    suspects=("preference-response-truncated-unequally", "labels-all-masked-by-truncation"),
                    remedy="Give each answer room of its own; drop pairs whose answers do not fit.",
                )
    pairs = _pairs(evidence, 4)
    for pair in pairs:
        for side, other in (("chosen", "rejected"), ("rejected", "chosen")):
            alone = _answer_ids(*_sides(evidence, {**pair, other: pair[side]})[side])
            for times in (4, LONG):
                beside = _answer_ids(*_sides(evidence, stretched(pair, **{other: times}))[side])
                if beside != alone:
                    raise CheckFailed(
                        f"The {side} answer has {len(alone)} supervised tokens beside an equally long one and "
                        f"{len(beside)} when the {other} one is {times} times as long.",
                        suspects=("preference-response-truncated-unequally",),
                        remedy="Cut each answer by its own length, never both by that of the longer one.",
                    )
    return f"{len(pairs)} pairs, with one answer up to {LONG} times as long"


LOSS_PARTS = tuple(
    f"reinforcement.{name}" for name in ("preferences", "encode_pair", "preference_loss", "make_reference")
)


@check("I15", "rlhf", needs=(*LOSS_PARTS, "make_model"))
def the_preference_loss_prefers_the_chosen_answer(evidence: Evidence) -> str:
    """The loss falls when the policy moves towards chosen answers, and rises when it moves towards rejected ones."""
    pairs = _pairs(evidence, 4)
    losses = {}
    for name, direction in (("away", -1.0), ("start", 0.0), ("towards", 1.0)):
        policy = evidence.model()
        reference = evidence.call("reinforcement.make_reference", policy)
        _move_towards_chosen(evidence, policy, pairs, direction * STEP)
        with torch.no_grad():
            losses[name] = float(evidence.call("reinforcement.preference_loss", policy, reference, pairs))
    seen = ", ".join(f"{loss:.5f} ({name})" for name, loss in losses.items())
    if losses["towards"] < losses["start"] < losses["away"]:
        return f"the loss is {seen}"
    stuck = losses["towards"] == losses["start"] == losses["away"]
    suspects = ("reference-model-is-the-policy",) if stuck else ("chosen-rejected-swapped",)
    raise CheckFailed(
        f"The loss of {len(pairs)} pairs, where the policy was moved towards the chosen answers or away from them, is "
        f"{seen}.",
        suspects=suspects,
        remedy="Take the reference's log-probabilities from a frozen copy, and the margin as chosen less rejected.",
    )


def _pairs(evidence: Evidence, count: int | None) -> list[Pair]:
    """The user's pairs, the first ``count`` of them."""
    pairs = evidence.remember("preferences", lambda: list(evidence.call("reinforcement.preferences")))
    for pair in pairs:
        if not isinstance(pair, Mapping) or not {"prompt", "chosen", "rejected"} <= pair.keys():
            raise PartError("preferences should return mappings with prompt, chosen and rejected.")
    if not pairs:
        raise PartError("preferences returned no pairs.")
    return pairs[:count]


def _leads(evidence: Evidence, pairs: Sequence[Pair]) -> tuple[list[float], str]:
    """How much better each chosen answer is; 0 where it is about as good."""
    if all(isinstance(pair.get("reference"), str) and isinstance(pair["chosen"], str) for pair in pairs):
        leads = [
            overlap(pair["chosen"], pair["reference"]) - overlap(pair["rejected"], pair["reference"]) for pair in pairs
        ]
        return [lead if abs(lead) > LEAD else 0.0 for lead in leads], "overlap with the reference"
    if not evidence.has("reinforcement.reward"):
        raise CheckSkipped("the pairs have no reference, and there is no reward to compare their answers by")
    prompts = [pair["prompt"] for pair in pairs]
    chosen, rejected = (
        [float(value) for value in evidence.call("reinforcement.reward", prompts, [pair[side] for pair in pairs])]
        for side in ("chosen", "rejected")
    )
    return [one - other for one, other in zip(chosen, rejected, strict=True)], "the reward"


def runs_score(against: Sequence[bool]) -> float:
    """How far the number of runs is from that of a random order, in standard errors; below 0 where like joins like.

    Wald and Wolfowitz, 1940, "On a test whether two samples are from the same population".
    """
    total, some = len(against), sum(against)
    if some in {0, total} or total < 3:  # noqa: PLR2004 - one of each has only one order
        return 0.0
    expected = 2 * some * (total - some) / total + 1
    spread = ((expected - 1) * (expected - 2) / (total - 1)) ** 0.5
    runs = 1 + sum(one != other for one, other in pairwise(against))
    return (runs - expected) / spread if spread else 0.0


def overlap(text: str, reference: str) -> float:
    """Dice's coefficient of the letter trigrams of two texts, 0 to 1, in any script."""
    one, other = (
        Counter(letters[place : place + 3] for place in range(max(1, len(letters) - 2)))
        for letters in (" ".join(text.casefold().split()), " ".join(reference.casefold().split()))
    )
    return 2 * (one & other).total() / (one.total() + other.total())


def stretched(pair: Pair, **times: int) -> Pair:
    """The pair with some of its texts repeated; chats are left as they are."""
    return {
        name: " ".join([value] * times.get(name, 1)) if isinstance(value, str) else value
        for name, value in pair.items()
    }


def _sides(evidence: Evidence, pair: Pair) -> dict[str, tuple[list[int], list[int]]]:
    """The ids and labels of the chosen and of the rejected side of a pair, encoded once."""
    encoded = evidence.call("reinforcement.encode_pair", pair)
    sides = {}
    for side in ("chosen", "rejected"):
        names = f"{side}_input_ids", f"{side}_labels"
        if not isinstance(encoded, Mapping) or any(name not in encoded for name in names):
            raise PartError(f"encode_pair should return a mapping with {names[0]} and {names[1]}.")
        ids, labels = ([int(value) for value in encoded[name]] for name in names)
        if len(ids) != len(labels):
            raise PartError(f"encode_pair returned {len(ids)} ids and {len(labels)} labels for the {side} answer.")
        sides[side] = ids, labels
    return sides


def _prompt_ids(ids: Sequence[int], labels: Sequence[int]) -> list[int]:
    first = next((place for place, label in enumerate(labels) if label >= 0), len(labels))
    return list(ids[:first])


def _answer_ids(ids: Sequence[int], labels: Sequence[int]) -> list[int]:
    return [label for label in labels if label >= 0]


def _move_towards_chosen(evidence: Evidence, policy: torch.nn.Module, pairs: Sequence[Pair], length: float) -> None:
    """Move a policy along the gradient of the log-likelihood of chosen less rejected answers."""
    two_sided = evidence.is_encoder_decoder(policy)
    margin = torch.zeros(())
    for pair in pairs:
        for (ids, labels), sign in zip(_sides(evidence, pair).values(), (1.0, -1.0), strict=True):
            prompt, said = _prompt_ids(ids, labels), torch.tensor(_answer_ids(ids, labels))
            # An encoder reads the prompt and a decoder the answer, or a decoder both.
            read = {"input_ids": prompt, "labels": said.tolist()} if two_sided else {"input_ids": ids}
            logits = policy(**{name: torch.tensor([values]) for name, values in read.items()}).logits[0]
            asked = logits if two_sided else logits[:-1][torch.tensor(labels[1:]) >= 0]
            margin = margin + sign * asked.log_softmax(-1).gather(-1, said[:, None]).sum()
    moving = [entry for entry in policy.parameters() if entry.requires_grad]
    gradients: Sequence[torch.Tensor | None] = torch.autograd.grad(margin, moving, allow_unused=True)
    size = torch.stack([entry.norm() for entry in moving]).norm()
    slope = torch.stack([gradient.norm() for gradient in gradients if gradient is not None]).norm()
    with torch.no_grad():
        for entry, gradient in zip(moving, gradients, strict=True):
            if gradient is not None:
                entry.add_(gradient, alpha=float(length * size / slope))
