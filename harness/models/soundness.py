"""What must hold of a model and its tokenizer before anything is computed with them."""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from harness.errors import ModelError
from harness.models.special_tokens import read_special_token

PROBE = "Naïve café, 3 naps;\tnew\nline 12345 <extra_id_0>"
"""A text that holds a bit of everything, and words that a small vocabulary lacks."""


def require_complete(name: str, report: dict[str, Any]) -> None:
    """Every tensor was in the files.

    Args:
        name: the model's, for messages.
        report: what transformers says of the loading.

    Raises:
        ModelError: one was not.
    """
    missing = sorted(report.get("missing_keys", ()))
    mismatched = sorted(str(key) for key in report.get("mismatched_keys", ()))
    if missing or mismatched:
        named = ", ".join([*missing, *mismatched][:3])
        raise ModelError(
            f'{len(missing) + len(mismatched)} tensors of the model "{name}" are not in its files: {named}, ...',
            why="They would start from random numbers, and every score with them.",
            fix="Give the whole checkpoint.",
        )


def require_fitting_tokenizer(name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Every token has a place in the embeddings.

    Raises:
        ModelError: one has not.
    """
    places = model.get_input_embeddings().num_embeddings
    if len(tokenizer) > places:
        raise ModelError(
            f'The tokenizer of "{name}" has {len(tokenizer)} tokens and the model embeds {places}.',
            why="Ids past the end crash or mean another token.",
            fix="Use the tokenizer that the model was trained with.",
        )


def require_limit(name: str, tokenizer: PreTrainedTokenizerBase) -> None:
    """The longest input is a number.

    Raises:
        ModelError: it is something else.
    """
    limit = tokenizer.model_max_length
    if isinstance(limit, bool) or not isinstance(limit, int | float):
        raise ModelError(
            f'The tokenizer of "{name}" has model_max_length = {limit!r:.60}, which is no number.',
            why="Each text that is tokenized is compared with it.",
            fix="Set it in tokenizer_config.json to as many tokens as the model can read.",
        )


def require_words(name: str, tokenizer: PreTrainedTokenizerBase) -> None:
    """Any text can be read, and not only known words.

    Raises:
        ModelError: the tokenizer gives up at the `PROBE`.
    """
    try:
        tokenizer(PROBE)
    except Exception as error:  # tokenizers raises bare exceptions
        raise ModelError(
            f'The tokenizer of "{name}" cannot read a text: {error}.',
            why="The first row with a word that it does not know would end the run.",
            fix="Put the unknown token that tokenizer.json names into its vocabulary.",
        ) from error


def require_padding(name: str, tokenizer: PreTrainedTokenizerBase) -> None:
    """Batches can be padded.

    Raises:
        ModelError: there is no pad token.
    """
    if tokenizer.pad_token_id is None:
        raise ModelError(
            f'The tokenizer of "{name}" has no pad token.',
            why="Batches cannot be padded.",
            fix="Set pad_token in tokenizer_config.json.",
        )


def require_ends(name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Generation ends by the model's EOS and training teaches the tokenizer's: they must be the same token.

    Raises:
        ModelError: they are not, texts cannot end, or a decoder has nothing to start from.
    """
    if tokenizer.eos_token_id is None:
        raise ModelError(
            f'The tokenizer of "{name}" has no EOS token.',
            why="Texts cannot end.",
            fix="Set eos_token in tokenizer_config.json.",
        )
    if tokenizer.pad_token_id is None and not model.config.is_encoder_decoder:
        # As GPT-2: masks and labels are made from lengths, never from ids, so EOS can stand where nothing counts.
        tokenizer.pad_token = tokenizer.eos_token
    ids = {key: read_special_token(model.config, key) for key in ("pad", "eos", "decoder_start")}
    places = model.get_input_embeddings().num_embeddings
    ends = ids["eos"] if isinstance(ids["eos"], list) else [ids["eos"]]
    if tokenizer.eos_token_id not in ends:
        raise ModelError(
            f'The config of "{name}" ends texts with token {ids["eos"]}, its tokenizer with {tokenizer.eos_token_id}.',
            why="The model would learn to stop by a token that generation does not stop at.",
            fix="Set eos_token_id in config.json to the tokenizer's.",
        )
    wrong = [key for key in ("pad", "decoder_start") if ids[key] not in range(places)]
    if model.config.is_encoder_decoder and wrong:
        raise ModelError(
            f'The config of "{name}" has no usable {" and ".join(f"{key}_token_id" for key in wrong)}.',
            why="The decoder has nothing to start from.",
            fix="Set it in config.json; T5 starts with pad.",
        )


def require_finite(name: str, model: PreTrainedModel) -> None:
    """No weight is NaN or infinite.

    Raises:
        ModelError: one is.
    """
    for key, weight in model.named_parameters():
        if not bool(weight.isfinite().all()):
            raise ModelError(
                f'The weights of "{name}" hold NaN or infinity, first in {key}.',
                why="Everything computed from them is NaN.",
                fix="Give a checkpoint from before the training broke.",
            )
