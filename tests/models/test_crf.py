"""The conditional random field against brute force over all tag sequences, in float64."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data.bio import find_break
from harness.errors import UsageError
from harness.models.crf import FORBIDDEN, LinearChainCrf, bio_constraints, compact

TAGS = 3
NAMES = ("O", "B-X", "I-X", "B-Y", "I-Y")
Case = tuple[LinearChainCrf, torch.Tensor, torch.Tensor, torch.Tensor]


def make_field(generator: torch.Generator, *, constrained: bool, tags: int = TAGS) -> LinearChainCrf:
    field = LinearChainCrf.for_bio(NAMES[:tags]) if constrained else LinearChainCrf(tags)
    with torch.no_grad():
        for parameter in field.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return field.double()


@st.composite
def cases(draw: st.DrawFn, *, constrained: bool | None = None) -> Case:
    """A field of up to five tags, and a padded batch of up to three rows of up to six tokens with any mask."""
    masks = draw(
        st.integers(1, 6).flatmap(
            lambda length: st.lists(st.lists(st.booleans(), min_size=length, max_size=length), min_size=1, max_size=3)
        )
    )
    generator = torch.Generator().manual_seed(draw(st.integers(0, 1000)))
    limited = draw(st.booleans()) if constrained is None else constrained
    field = make_field(generator, constrained=limited, tags=draw(st.sampled_from([3, 5] if limited else [1, 2, 3, 4])))
    mask = torch.tensor(masks)
    emissions = 2 * torch.randn(*mask.shape, field.tags, generator=generator, dtype=torch.float64)
    tags = torch.randint(0, field.tags, mask.shape, generator=generator).masked_fill(~mask, -100)
    return field, emissions, tags, mask


def brute_scores(field: LinearChainCrf, emissions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Every sequence of tags of one row without masked tokens, and its score by the definition."""
    first = torch.where(torch.tensor(field.allowed_first), field.first, FORBIDDEN)
    pairs = torch.where(torch.tensor(field.allowed), field.transitions, FORBIDDEN)
    length = len(emissions)
    tags = torch.tensor(list(itertools.product(range(field.tags), repeat=length)))
    scores = emissions[torch.arange(length), tags].sum(1) + pairs[tags[:, :-1], tags[:, 1:]].sum(1)
    return tags, scores + first[tags[:, 0]] + field.last[tags[:, -1]]


def brute_likelihood(case: Case) -> torch.Tensor:
    field, emissions, tags, mask = case
    rows = [torch.zeros((), dtype=torch.float64)] * len(mask)
    for row in mask.any(1).nonzero()[:, 0].tolist():
        every, scores = brute_scores(field, emissions[row][mask[row]])
        said = (every == tags[row][mask[row]]).all(1)
        rows[row] = scores[said][0] - scores.logsumexp(0)
    return torch.stack(rows)


@settings(max_examples=40, deadline=None)
@given(cases())
def test_the_log_likelihood_is_that_of_brute_force(case: Case) -> None:
    """Whatever the mask, a row's likelihood is its score over the sum of all sequences of its unmasked tokens."""
    field, emissions, tags, mask = case
    torch.testing.assert_close(field.log_likelihood(emissions, tags, mask), brute_likelihood(case))


@settings(max_examples=20, deadline=None)
@given(cases())
def test_the_gradient_is_that_of_brute_force(case: Case) -> None:
    """Emissions and transitions get the gradient of the definition, and masked tokens none."""
    field, emissions, tags, mask = case
    emissions.requires_grad_()
    inputs = [emissions, *field.parameters()]
    ours = torch.autograd.grad(field.log_likelihood(emissions, tags, mask).sum(), inputs, allow_unused=True)
    theirs = torch.autograd.grad(
        brute_likelihood((field, emissions, tags, mask)).sum() + 0 * emissions.sum(), inputs, allow_unused=True
    )
    for mine, wanted in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, torch.zeros_like(mine) if wanted is None else wanted)
    assert not ours[0][~mask].any()


@settings(max_examples=40, deadline=None)
@given(cases())
def test_viterbi_finds_the_best_sequence_of_brute_force(case: Case) -> None:
    """The decoded tags are the argmax over all sequences, one for each unmasked token."""
    field, emissions, _, mask = case
    for row, found in enumerate(field.decode(emissions, mask)):
        assert len(found) == mask[row].sum()
        if found:
            every, scores = brute_scores(field, emissions[row][mask[row]])
            assert found == every[scores.argmax()].tolist()


@settings(max_examples=30, deadline=None)
@given(cases(constrained=True), st.sampled_from([1.0, 1e3, 1e6, 1e30]))
def test_a_constrained_field_decodes_legal_tags_only(case: Case, size: float) -> None:
    """No decoded sequence has an I-x that follows neither B-x nor I-x, however large the emissions are."""
    field, emissions, _, mask = case
    for found in field.decode(size * emissions, mask):
        assert find_break([NAMES[tag] for tag in found]) is None


@settings(max_examples=30, deadline=None)
@given(cases())
def test_a_row_is_scored_alike_alone_and_in_a_batch(case: Case) -> None:
    """Likelihood and tags of a row are the same without the other rows and their padding."""
    field, emissions, tags, mask = case
    likelihoods, decoded = field.log_likelihood(emissions, tags, mask), field.decode(emissions, mask)
    for row in range(len(mask)):
        one = emissions[row][None], tags[row][None], mask[row][None]
        torch.testing.assert_close(field.log_likelihood(*one)[0], likelihoods[row])
        assert field.decode(one[0], one[2]) == [decoded[row]]


def test_the_time_does_not_grow_with_the_batch() -> None:
    """One step of the recursion serves all rows: sixty-four take as many operations as one."""
    field = make_field(torch.Generator().manual_seed(3), constrained=True)

    def count(rows: int) -> int:
        emissions, mask = torch.zeros(rows, 6, TAGS, dtype=torch.float64), torch.ones(rows, 6, dtype=torch.bool)
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            field.log_likelihood(emissions, mask.long() * 0, mask)
            field.decode(emissions, mask)
        return sum(event.count for event in profile.key_averages() if event.key.startswith("aten::"))

    assert count(64) == count(1)


def test_masked_tokens_change_nothing() -> None:
    """Whatever stands at masked tokens, and however many there are, likelihood and tags are the same."""
    field = make_field(torch.Generator().manual_seed(0), constrained=True)
    emissions, tags = torch.randn(1, 3, TAGS, dtype=torch.float64), torch.tensor([[1, 2, 0]])
    wide, labels = torch.full((1, 7, TAGS), 1e6, dtype=torch.float64), torch.full((1, 7), -100)
    places = [1, 3, 4]
    wide[0, places], labels[0, places] = emissions[0], tags[0]
    mask = labels != -100
    assert torch.equal(field.log_likelihood(wide, labels, mask), field.log_likelihood(emissions, tags, tags >= 0))
    assert field.decode(wide, mask) == field.decode(emissions, tags >= 0)


def test_a_forbidden_sequence_is_all_but_impossible_and_has_a_finite_gradient() -> None:
    """A label that BIO forbids costs the constant, in float32 too, and spoils no weight."""
    field = LinearChainCrf.for_bio(NAMES)
    emissions = torch.zeros(1, 2, len(NAMES), requires_grad=True)
    likelihood = field.log_likelihood(emissions, torch.tensor([[0, 2]]), torch.ones(1, 2, dtype=torch.bool))
    assert likelihood.item() == pytest.approx(FORBIDDEN, rel=1e-2)
    likelihood.sum().backward()
    assert emissions.grad is not None
    assert emissions.grad.isfinite().all()


def test_half_precision_emissions_are_summed_in_float32() -> None:
    """A long row of bfloat16 emissions gives the likelihood of the same numbers in float32."""
    field = make_field(torch.Generator().manual_seed(1), constrained=False).float()
    emissions = torch.randn(1, 200, TAGS).bfloat16()
    tags, mask = torch.zeros(1, 200, dtype=torch.int64), torch.ones(1, 200, dtype=torch.bool)
    found = field.log_likelihood(emissions, tags, mask)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, field.log_likelihood(emissions.float(), tags, mask))


def test_a_row_without_tags_costs_nothing() -> None:
    """A row whose mask is all false has likelihood 0 and no tags, beside a row that has some."""
    field = make_field(torch.Generator().manual_seed(2), constrained=False)
    mask = torch.tensor([[False, False], [True, False]])
    emissions = torch.zeros(2, 2, TAGS, dtype=torch.float64)
    assert field.log_likelihood(emissions, torch.zeros(2, 2, dtype=torch.int64), mask)[0].item() == 0
    assert [len(tags) for tags in field.decode(emissions, mask)] == [0, 1]


def test_compacting_keeps_the_order_of_what_is_selected() -> None:
    """Selected tokens stand at the left in their order, and the width is that of the longest row."""
    mask = torch.tensor([[False, True, False, True], [False, False, True, False]])
    emissions = torch.arange(8.0).reshape(2, 4, 1)
    moved, kept, ids = compact(emissions, mask, torch.arange(8).reshape(2, 4))
    assert kept.tolist() == [[True, True], [True, False]]
    assert moved[..., 0][kept].tolist() == [1, 3, 6]
    assert ids.tolist() == [[1, 3], [6, 0]]


def test_bio_lets_i_follow_its_own_kind_only() -> None:
    """I-x follows B-x and I-x, begins nothing, and all else may follow anything."""
    first, pairs = bio_constraints(NAMES)
    assert first == [True, True, False, True, False]
    assert [row[2] for row in pairs] == [False, True, True, False, False]
    assert all(row[0] and row[1] and row[3] for row in pairs)


@pytest.mark.parametrize(
    ("emissions", "tags", "mask"),
    [((1, 2, TAGS + 1), (1, 2), (1, 2)), ((1, 2, TAGS), (1, 3), (1, 2)), ((1, 2, TAGS), (1, 2), (1, 3))],
)
def test_shapes_that_do_not_fit_are_named(
    emissions: tuple[int, ...], tags: tuple[int, ...], mask: tuple[int, ...]
) -> None:
    """Wrong shapes are refused, with the shapes."""
    with pytest.raises(UsageError, match="shape"):
        LinearChainCrf(TAGS).log_likelihood(torch.zeros(emissions), torch.zeros(tags).long(), torch.ones(mask).bool())


def test_a_label_of_minus_100_that_is_not_masked_is_refused() -> None:
    """A tag that does not exist is an error, not the last class."""
    with pytest.raises(UsageError, match="Mask every token"):
        LinearChainCrf(TAGS).log_likelihood(torch.zeros(1, 2, TAGS), torch.tensor([[0, -100]]), torch.ones(1, 2).bool())


def test_constraints_of_another_size_are_refused() -> None:
    """Constraints for five tags do not fit a field of three."""
    first, pairs = bio_constraints(NAMES)
    with pytest.raises(UsageError, match="5 first tags and 5 rows of transitions; there are 3 tags"):
        LinearChainCrf(TAGS, allowed_first=first, allowed=pairs)
