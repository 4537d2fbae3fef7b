"""What a policy says: log-probabilities are the model's own, samples are its own too."""

from __future__ import annotations

import pytest
import torch

from harness.methods.rlhf.pairs import encode_answers
from harness.methods.rlhf.policy import make_reference, mask_answers, measure_kl, read_answers, sample_answers
from tests.methods.rlhf.models import load

MODELS = ("tiny-t5", "tiny-llama")


@pytest.mark.parametrize("name", MODELS)
def test_logprobs_are_those_of_the_models_own_loss(name: str) -> None:
    """The mean over the target's tokens is minus the model's loss; what stands beside an answer changes nothing."""
    form, loaded, rows = load(name)
    encoded = form.encode(rows[:3], loaded)
    prompts, answers = [row.input_ids for row in encoded], encode_answers([r.target for r in rows[:3]], form, loaded)
    with torch.no_grad():
        together = read_answers(loaded.model, prompts, answers)
        for place, row in enumerate(encoded):
            batch = form.make_collator(loaded)([dict(row.features[0])])
            loss = loaded.model(**batch).loss
            own = together.logprobs[place]
            assert float(own.sum() / together.mask[place].sum()) == pytest.approx(-float(loss), abs=1e-4)
            assert not own[len(answers[place]) :].any()
        doubled = read_answers(loaded.model, prompts, [answer for answer in answers for _ in range(2)])
        torch.testing.assert_close(doubled.logprobs[::2], together.logprobs, atol=1e-4, rtol=0)
        torch.testing.assert_close(doubled.logprobs[1::2], together.logprobs, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", MODELS)
def test_kl_is_zero_to_a_copy_and_positive_to_another(name: str) -> None:
    """A fresh reference has KL 0; once the policy moves the KL is positive, and the reference stays."""
    form, loaded, rows = load(name)
    prompts = [row.input_ids for row in form.encode(rows[:2], loaded)]
    policy = make_reference(loaded.model)
    reference = make_reference(policy)
    answers = sample_answers(policy, prompts, max_new_tokens=8, seed=1)
    with torch.no_grad():
        same = measure_kl(read_answers(policy, prompts, answers), read_answers(reference, prompts, answers))
        assert float(same.abs().max()) < 1e-5
        for weight in policy.parameters():
            weight.mul_(1.05)
        moved = measure_kl(read_answers(policy, prompts, answers), read_answers(reference, prompts, answers))
    assert float(moved.min()) > -1e-6
    assert float(moved.sum()) > 1e-3
    for weight, before in zip(reference.parameters(), loaded.model.parameters(), strict=True):
        assert torch.equal(weight, before)


@pytest.mark.parametrize("name", MODELS)
def test_samples_follow_their_seed_and_end_at_eos(name: str) -> None:
    """The same seed draws the same, another one something else; nothing follows EOS; the global state stays."""
    form, loaded, rows = load(name)
    prompts = [row.input_ids for row in form.encode(rows[:2], loaded)]
    state = torch.get_rng_state()
    first, again, other = (
        sample_answers(loaded.model, prompts, samples=3, max_new_tokens=12, seed=seed) for seed in (1, 1, 2)
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert first == again != other
    assert len(first) == 6
    eos = loaded.tokenizer.eos_token_id
    assert all(eos not in answer[:-1] and 0 < len(answer) <= 12 for answer in first)


@pytest.mark.parametrize("name", MODELS)
def test_a_temperature_is_that_of_samples_and_of_logprobs(name: str) -> None:
    """Logits are divided by it, and at a low one samples are the likeliest answer."""
    form, loaded, rows = load(name)
    prompts = [row.input_ids for row in form.encode(rows[:2], loaded)]
    cold = sample_answers(loaded.model, prompts, samples=2, max_new_tokens=6, seed=1, temperature=1e-4)
    with torch.no_grad():
        plain = read_answers(loaded.model, prompts, cold)
        halved = read_answers(loaded.model, prompts, cold, temperature=0.5)
    torch.testing.assert_close(halved.logits, 2 * plain.logits)
    assert cold[::2] == cold[1::2]
    assert [answer for answer, row in zip(cold, plain.logits, strict=True)] == [
        row.argmax(-1)[: len(answer)].tolist() for answer, row in zip(cold, plain.logits, strict=True)
    ]


def test_masks_go_by_length() -> None:
    """A token counts whatever it is: pad may be EOS."""
    assert mask_answers([[5, 0, 0], [0]]).tolist() == [[1, 1, 1], [1, 0, 0]]
