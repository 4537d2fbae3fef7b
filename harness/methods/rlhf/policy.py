"""What a policy says: samples of answers, and the log-probability of each of their tokens."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from harness.generation.engine import Resolved
from harness.generation.transformers_engine import generate_batch, only_these_settings
from harness.models.special_tokens import read_special_token

Ids = Sequence[int]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a model makes of answers, in which it reads every token but is asked before each.

    Args:
        logits: (batch, length, vocabulary) float; those at a token predict it, and have not read it.
        tokens: (batch, length) int64, padded with pad.
        mask: (batch, length) int64, 1 for each token of an answer, 0 behind its end.
    """

    logits: torch.Tensor
    tokens: torch.Tensor
    mask: torch.Tensor

    @property
    def logprobs(self) -> torch.Tensor:
        """The log-probability of each token in nats: (batch, length) float, 0 behind an answer's end."""
        each = self.logits.log_softmax(-1).gather(-1, self.tokens[..., None])[..., 0]
        return torch.where(self.mask.bool(), each, torch.zeros_like(each))


def make_reference(policy: PreTrainedModel) -> PreTrainedModel:
    """A frozen copy of the policy."""
    reference = copy.deepcopy(policy).eval()
    reference.requires_grad_(requires_grad=False)
    return reference


def mask_answers(answers: Sequence[Ids]) -> torch.Tensor:
    """1 for each token of an answer, EOS included, 0 behind its end, by length alone: (batch, length) int64."""
    return pad_sequence([torch.ones(len(answer), dtype=torch.int64) for answer in answers], batch_first=True)


def read_answers(
    model: PreTrainedModel, prompts: Sequence[Ids], answers: Sequence[Ids], *, temperature: float = 1.0
) -> Reading:
    """Let a model read answers to prompts.

    Args:
        model: an encoder-decoder or a causal model.
        prompts: token ids; ``answers`` may hold several to each, which then stand together.
        answers: token ids, EOS included where an answer was ended.
        temperature: divides the logits; that at which the answers were drawn.
    """
    pad = read_special_token(model.config, "pad")
    filler = pad if isinstance(pad, int) else 0
    mask = mask_answers(answers).to(model.device)
    tokens = _pad(answers, filler, model.device)
    group = len(answers) // len(prompts)
    if model.config.is_encoder_decoder:
        start = read_special_token(model.config, "decoder_start")
        # An encoder-decoder without one start token was refused when it was loaded.
        assert isinstance(start, int)  # noqa: S101
        seen = mask_answers(prompts).to(model.device)
        # The answers to one prompt share what the encoder makes of it.
        encoded = model.get_encoder()(input_ids=_pad(prompts, filler, model.device), attention_mask=seen)
        found = model(
            encoder_outputs=BaseModelOutput(last_hidden_state=encoded.last_hidden_state.repeat_interleave(group, 0)),
            attention_mask=seen.repeat_interleave(group, 0),
            decoder_input_ids=torch.cat([torch.full_like(tokens[:, :1], start), tokens[:, :-1]], 1),
        )
        return Reading(logits=found.logits.float() / temperature, tokens=tokens, mask=mask)
    asked = [prompt for prompt in prompts for _ in range(group)]
    rows = [[*prompt, *answer] for prompt, answer in zip(asked, answers, strict=True)]
    found = model(input_ids=_pad(rows, filler, model.device), attention_mask=mask_answers(rows).to(model.device))
    spans = [(len(prompt), len(prompt) + len(answer)) for prompt, answer in zip(asked, answers, strict=True)]
    logits = [row[start - 1 : end - 1] for row, (start, end) in zip(found.logits, spans, strict=True)]
    return Reading(logits=pad_sequence(logits, batch_first=True).float() / temperature, tokens=tokens, mask=mask)


def sample_answers(
    policy: PreTrainedModel,
    prompts: Sequence[Ids],
    *,
    samples: int = 1,
    max_new_tokens: int,
    seed: int,
    temperature: float = 1.0,
) -> list[list[int]]:
    """Draw answers from the policy's whole distribution: no top-k, no top-p, no least length.

    Args:
        policy: an encoder-decoder or a causal model.
        prompts: token ids.
        samples: answers to each prompt; they stand together.
        max_new_tokens: where an answer is broken off.
        seed: decides the draws; the global random state stays as it was.
        temperature: divides the logits; whoever reads the answers has to divide by the same.

    Returns:
        Token ids up to and with the first EOS.
    """
    eos, pad, start = (read_special_token(policy.config, name) for name in ("eos", "pad", "decoder_start"))
    ends: set[int | None] = {*eos} if isinstance(eos, list) else {eos}
    settings: Resolved = {
        "do_sample": True,
        "temperature": temperature,
        "top_k": 0,
        "top_p": 1.0,
        "num_beams": 1,
        "num_return_sequences": samples,
        "max_new_tokens": max_new_tokens,
        "eos_token_id": eos,
        "pad_token_id": next(iter(ends)) if pad is None else pad,
    }
    if policy.config.is_encoder_decoder:
        settings["decoder_start_token_id"] = start
    devices = [policy.device] if policy.device.type == "cuda" else []
    with (
        torch.random.fork_rng(devices=devices),
        torch.inference_mode(),
        only_these_settings(policy, settings) as config,
    ):
        torch.manual_seed(seed)
        drawn = generate_batch(policy, prompts, config).tolist()
    return [_up_to_first(row[1:] if policy.config.is_encoder_decoder else row, ends) for row in drawn]


def measure_kl(policy: Reading, reference: Reading) -> torch.Tensor:
    """The KL divergence of the policy from the reference at each token, over the whole vocabulary.

    Summed over an answer that the policy drew, it is an unbiased estimate of the KL of whole answers that is never
    negative and varies less than the difference of the two log-probabilities.

    Returns:
        (batch, length) float, in nats, 0 behind an answer's end.

    Source: Amini et al. 2025, "Better Estimation of the Kullback-Leibler Divergence Between Language Models".
    """
    own, other = policy.logits.log_softmax(-1), reference.logits.log_softmax(-1)
    each = (own.exp() * (own - other)).sum(-1)
    return torch.where(policy.mask.bool(), each, torch.zeros_like(each))


def _pad(rows: Sequence[Ids], filler: int, device: torch.device) -> torch.Tensor:
    tensors = [torch.tensor(list(row), dtype=torch.int64) for row in rows]
    return pad_sequence(tensors, batch_first=True, padding_value=filler).to(device)


def _up_to_first(row: list[int], ends: set[int | None]) -> list[int]:
    place = next((place for place, token in enumerate(row) if token in ends), len(row))
    return row[: place + 1]
