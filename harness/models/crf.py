"""A linear-chain conditional random field: scores whole tag sequences, and finds the best one.

Lafferty, McCallum and Pereira, *Conditional Random Fields* (ICML 2001), section 3; the sums over all sequences are the
forward algorithm in log space, the best sequence is Viterbi's. A token that carries no tag (a special token, padding, a
piece that is not the first of its word) is left out before anything is scored, so a transition always leads from one
word to the next.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from harness.data.bio import OUTSIDE, may_follow
from harness.errors import UsageError

FORBIDDEN = -1e4
"""The score of a transition that must not happen, in the likelihood: finite, so that gradients stay finite too."""


class LinearChainCrf(torch.nn.Module):
    """Transition scores between tags.

    Args:
        tags: how many tags there are.
        allowed_first: for each tag whether a sequence may start with it; all by default.
        allowed: for each tag (tags) a list that says of each tag whether it may follow (tags); all by default.
    """

    def __init__(
        self,
        tags: int,
        *,
        allowed_first: Sequence[bool] | None = None,
        allowed: Sequence[Sequence[bool]] | None = None,
    ) -> None:
        super().__init__()
        # Lists and no buffers: transformers makes models without memory before it reads their weights, and what is
        # not among the weights would be whatever that memory held.
        self.allowed_first = [True] * tags if allowed_first is None else list(allowed_first)
        self.allowed = [[True] * tags] * tags if allowed is None else [list(row) for row in allowed]
        if [len(self.allowed_first), *map(len, self.allowed)] != [tags] * (tags + 1):
            raise UsageError(
                f"The constraints are for {len(self.allowed_first)} first tags and {len(self.allowed)} rows of "
                f"transitions; there are {tags} tags.",
                fix=f"Give {tags} values and {tags} rows of {tags} values, as bio_constraints does.",
            )
        self.tags = tags
        self.first = torch.nn.Parameter(torch.empty(tags))
        self.last = torch.nn.Parameter(torch.empty(tags))
        self.transitions = torch.nn.Parameter(torch.empty(tags, tags))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set all scores to 0: every allowed sequence is as good as any other."""
        for parameter in self.parameters():
            torch.nn.init.zeros_(parameter)

    @classmethod
    def for_bio(cls, names: Sequence[str]) -> LinearChainCrf:
        """A field over BIO tags in which ``I-x`` follows only ``B-x`` or ``I-x``."""
        first, pairs = bio_constraints(names)
        return cls(len(names), allowed_first=first, allowed=pairs)

    def log_likelihood(self, emissions: torch.Tensor, tags: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The log-probability of each row's tags.

        Args:
            emissions: (batch, length, tags) float, scores of the tags at each token.
            tags: (batch, length) int64, ids of the tags; ignored where ``mask`` is false, so -100 may stand there.
            mask: (batch, length) bool, tokens that carry a tag, in any pattern.

        Returns:
            (batch,) float, at most 0 nats; 0 for a row without tags.

        Raises:
            UsageError: the shapes do not fit, or a tag is out of range.
        """
        self._check(emissions, mask)
        if tags.shape != mask.shape:
            raise UsageError(
                f"The tags have shape {tuple(tags.shape)} and the mask {tuple(mask.shape)}.",
                fix="Give one tag and one mask entry a token.",
            )
        chosen = tags[mask.bool()]
        if chosen.numel() and not 0 <= int(chosen.min()) <= int(chosen.max()) < self.tags:
            raise UsageError(
                f"Tags between {int(chosen.min())} and {int(chosen.max())} stand where the mask is true; there are "
                f"{self.tags}.",
                fix="Mask every token whose label is -100.",
            )
        emissions, mask, tags = compact(emissions, mask, tags)
        return self._score(emissions, tags, mask) - self._log_partition(emissions, mask)

    @torch.no_grad()
    def decode(self, emissions: torch.Tensor, mask: torch.Tensor) -> list[list[int]]:
        """The best tags of each row; whatever the emissions, none that is not allowed.

        Args:
            emissions: (batch, length, tags) float.
            mask: (batch, length) bool, tokens that carry a tag, in any pattern.

        Returns:
            One list a row, with an id for each true entry of its mask.

        Raises:
            UsageError: the shapes do not fit.
        """
        self._check(emissions, mask)
        emissions, mask = compact(emissions, mask)
        first, transitions, last = self._potentials(emissions, forbidden=-math.inf)
        best = first + emissions[:, 0]
        origins = []
        for place in range(1, emissions.shape[1]):
            reached, origin = (best[:, :, None] + transitions).max(1)
            here = mask[:, place, None]
            best = torch.where(here, reached + emissions[:, place], best)
            origins.append(torch.where(here, origin, torch.arange(self.tags, device=origin.device)))
        path = [(best + last).argmax(1)]
        for origin in reversed(origins):
            path.append(origin.gather(1, path[-1][:, None])[:, 0])
        rows = torch.stack(path[::-1], 1)
        return [ids[:length] for ids, length in zip(rows.tolist(), mask.sum(1).tolist(), strict=True)]

    def _score(self, emissions: torch.Tensor, tags: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The unnormalised score of each row's tags, (batch,); the mask has no gaps here."""
        first, transitions, last = self._potentials(emissions)
        said = (emissions.gather(2, tags[..., None])[..., 0] * mask).sum(1)
        moved = (transitions[tags[:, :-1], tags[:, 1:]] * mask[:, 1:]).sum(1)
        end = tags.gather(1, (mask.sum(1, keepdim=True) - 1).clamp(min=0))[:, 0]
        return said + moved + (first[tags[:, 0]] + last[end]) * mask[:, 0]

    def _log_partition(self, emissions: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The log of the summed exponentials of all sequences' scores, (batch,); the mask has no gaps here."""
        first, transitions, last = self._potentials(emissions)
        alpha = first + emissions[:, 0]
        for place in range(1, emissions.shape[1]):
            reached = (alpha[:, :, None] + transitions).logsumexp(1) + emissions[:, place]
            alpha = torch.where(mask[:, place, None], reached, alpha)
        return (alpha + last).logsumexp(1) * mask[:, 0]

    def _potentials(
        self, emissions: torch.Tensor, *, forbidden: float = FORBIDDEN
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Scores of the first tag, of each transition and of the last tag, in the emissions' type."""
        first, pairs = (
            torch.tensor(allowed, device=emissions.device) for allowed in (self.allowed_first, self.allowed)
        )
        return (
            self.first.to(emissions).masked_fill(~first, forbidden),
            self.transitions.to(emissions).masked_fill(~pairs, forbidden),
            self.last.to(emissions),
        )

    def _check(self, emissions: torch.Tensor, mask: torch.Tensor) -> None:
        if emissions.ndim != 3 or emissions.shape[:2] != mask.shape or emissions.shape[2] != self.tags:  # noqa: PLR2004
            raise UsageError(
                f"The emissions have shape {tuple(emissions.shape)} and the mask {tuple(mask.shape)}.",
                fix=f"Give emissions (batch, length, {self.tags}) and a mask (batch, length).",
            )


def compact(emissions: torch.Tensor, mask: torch.Tensor, *others: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Move what the mask selects to the left, in order, and cut off what no row needs.

    Args:
        emissions: (batch, length, tags) float; comes back in float32 at least, for sums of exponentials need it.
        mask: (batch, length) bool.
        others: (batch, length) int64; comes back with 0 where the mask is false.

    Returns:
        Emissions, mask and the others with (batch, longest row, ...), where ``longest row`` is at least 1.
    """
    mask = mask.bool()
    order = (~mask).to(torch.uint8).argsort(dim=1, stable=True)
    order = order[:, : max(1, int(mask.sum(1).max()))]
    mask = mask.gather(1, order)
    emissions = emissions.to(torch.promote_types(emissions.dtype, torch.float32))
    emissions = emissions.gather(1, order[..., None].expand(-1, -1, emissions.shape[2]))
    return emissions, mask, *(other.gather(1, order) * mask for other in others)


def bio_constraints(names: Sequence[str]) -> tuple[list[bool], list[list[bool]]]:
    """What BIO tags allow.

    Args:
        names: names of the tags in the order of their ids: ``O``, ``B-x`` and ``I-x``.

    Returns:
        For each tag whether a sequence may start with it; for each tag a list that says which tags may follow.
    """
    first = [may_follow(OUTSIDE, name) for name in names]
    return first, [[may_follow(before, after) for after in names] for before in names]
