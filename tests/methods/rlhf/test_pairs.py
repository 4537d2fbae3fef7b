"""Pairs, the losses that learn from them, and the reward model."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from harness.config import RlhfSettings
from harness.errors import ColumnError, DataError, SettingsError
from harness.methods.rlhf import dpo
from harness.methods.rlhf.pairs import EncodedPair, encode_pairs, make_pairs, read_pairs
from harness.methods.rlhf.policy import make_reference
from harness.methods.rlhf.reward_model import (
    NATS,
    LearnedReward,
    RewardModel,
    bradley_terry_loss,
    learn_reward,
    measure_accuracy,
    score_pairs,
)
from tests.methods.rlhf.models import load

BETA = 0.2


def test_files_of_pairs_are_read(tmp_path: Path) -> None:
    """The usual form: prompt, chosen and rejected, whatever the format."""
    (tmp_path / "pairs.csv").write_text("chosen,prompt,rejected\ngood,Say it.,bad\n", encoding="utf-8")
    (pair,) = read_pairs(tmp_path / "pairs.csv")
    assert (pair.row.input, pair.row.target, pair.rejected) == ("Say it.", "good", "bad")


@pytest.mark.parametrize(
    ("line", "error", "said"),
    [
        ('{"chosen": "a", "rejected": "b"}', ColumnError, "has no prompt"),
        ('{"prompt": "p", "chosen": "a", "rejected": "a"}', DataError, "two equal answers"),
        ('{"prompt": "p", "chosen": [{"role": "user"}], "rejected": "a"}', DataError, "chosen is no text"),
    ],
)
def test_pairs_that_teach_nothing_are_refused(tmp_path: Path, line: str, error: type[Exception], said: str) -> None:
    """The pair and what is wrong with it are named."""
    (tmp_path / "pairs.jsonl").write_text(line + "\n", encoding="utf-8")
    with pytest.raises(error, match=f"Pair 1 of .*{said}"):
        read_pairs(tmp_path / "pairs.jsonl")


def test_rows_of_no_event_have_no_pairs() -> None:
    """Only the newsroom knows what is wrong with an answer."""
    _, _, rows = load()
    strange = type(rows[0])(id="mine", input="A text.", target="Text.")
    with pytest.raises(SettingsError, match=r'row "mine".*rlhf\.pairs'):
        make_pairs([strange])


@pytest.mark.parametrize("name", ["tiny-t5", "tiny-llama"])
def test_answers_are_encoded_as_targets_are(name: str) -> None:
    """The chosen answer has the ids of the row's own target, EOS included, behind the prompt of its outputs."""
    form, loaded, rows = load(name)
    pairs = encode_pairs(make_pairs(rows[:2]), form, loaded)
    for pair, row in zip(pairs[::5], form.encode(rows[:2], loaded), strict=True):
        assert pair.prompt == row.input_ids
        assert [*pair.chosen] == [label for label in row.labels if label >= 0]
        assert pair.rejected[-1] == loaded.tokenizer.eos_token_id != pair.rejected[0]


def two_pairs() -> tuple[torch.nn.Module, list[EncodedPair]]:
    """The T5 and two pairs of the newsroom."""
    form, loaded, rows = load()
    return loaded.model, encode_pairs(make_pairs(rows[:2]), form, loaded)[3:5]


def test_the_loss_of_dpo_starts_at_ln_2_with_the_gradient_by_hand() -> None:
    """At the start the gradient is -beta / 2 times that of the mean margin, and the reference has none."""
    model, pairs = two_pairs()
    policy, reference = make_reference(model).requires_grad_(requires_grad=True), make_reference(model)
    loss = dpo.preference_loss(policy, reference, pairs, beta=BETA)
    assert float(loss.detach()) == pytest.approx(math.log(2), abs=1e-6)
    weight = policy.get_input_embeddings().weight
    (found,) = torch.autograd.grad(loss, weight)
    weighed = dpo.weigh_answers(policy, pairs)
    (by_hand,) = torch.autograd.grad(-BETA / 2 * (weighed[:, 0] - weighed[:, 1]).mean(), weight)
    torch.testing.assert_close(found, by_hand, atol=1e-6, rtol=1e-4)


def test_dpo_makes_the_chosen_answers_likelier_than_the_rejected() -> None:
    """The margin of the trained pairs grows, the loss falls, and the model that came in stays."""
    model, pairs = two_pairs()
    before = dpo.weigh_answers(model, pairs).detach()
    policy = make_reference(model).requires_grad_(requires_grad=True)
    losses = dpo.optimise(
        policy, pairs, RlhfSettings(steps=4, batch_size=2, dpo_learning_rate=1e-3, dpo_beta=BETA), seed=0
    )
    gained = (dpo.weigh_answers(policy, pairs) - before).detach()
    assert losses[0] == pytest.approx(math.log(2), abs=1e-6)
    assert losses[-1] < losses[0]
    assert float((gained[:, 0] - gained[:, 1]).min()) > 0
    torch.testing.assert_close(dpo.weigh_answers(model, pairs).detach(), before)


def test_bradley_terry_by_hand() -> None:
    """Equal scores cost ln 2; a lead of 2 costs ln(1 + e^-2), and the same the other way round ln(1 + e^2)."""
    costs = [float(bradley_terry_loss(torch.tensor([scores]))) for scores in ((1.0, 1.0), (3.0, 1.0), (1.0, 3.0))]
    assert costs == pytest.approx([math.log(2), math.log1p(math.exp(-2)), math.log1p(math.exp(2))], abs=1e-6)


def test_a_reward_model_learns_what_pairs_have_in_common() -> None:
    """Whether padding is bad or good, it learns from pairs of some events and knows it of others."""
    form, loaded, rows = load()
    padded = encode_pairs(make_pairs(rows)[::5], form, loaded)
    exchanged = [EncodedPair(prompt=p.prompt, chosen=p.rejected, rejected=p.chosen) for p in padded]
    settings = RlhfSettings(reward_epochs=4, batch_size=4, learning_rate=2e-3)
    short, long = (learn_reward(loaded.model, pairs[:12], settings, seed=0) for pairs in (padded, exchanged))
    assert [measure_accuracy(model, padded[12:]) for model in (short, long)] == [1.0, 0.0]
    assert [measure_accuracy(model, exchanged[12:]) for model in (short, long)] == [0.0, 1.0]
    texts = [rows[12].target, f"{rows[12].target} More details are expected in the coming days."]
    found = LearnedReward(short, form, loaded)(texts, [rows[12], rows[12]])
    assert found[0] > found[1]
    with torch.no_grad():
        assert found[0] == pytest.approx(float(score_pairs(short, padded[12:13])[0, 0]), abs=1e-4)


def test_the_score_is_the_likelihood_of_the_whole_answer() -> None:
    """In units of nats, and beside a longer answer as alone."""
    model, pairs = two_pairs()
    scorer = RewardModel(model)
    with torch.no_grad():
        together = score_pairs(scorer, pairs)
        for place, pair in enumerate(pairs):
            torch.testing.assert_close(score_pairs(scorer, [pair])[0], together[place], atol=1e-4, rtol=0)
        torch.testing.assert_close(together * NATS, dpo.weigh_answers(model, pairs), atol=1e-4, rtol=1e-5)
