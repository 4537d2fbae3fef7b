"""The subword tokenizers of the tiny checkpoints: byte-level BPE, so that no text is unknown to them.

BPE and not Unigram, because the Unigram trainer gives another vocabulary in every process.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers


@dataclass(frozen=True, kw_only=True)
class SpecialTokens:
    """What a tokenizer has besides pieces of text, and what it puts around a text.

    Args:
        roles: the token of each role, as ``{"pad_token": "<pad>"}``; their ids count from 0 in this order.
        single: the template of a text, as ``"$A </s>"``.
        pair: the template of two texts, as ``"$A </s> $B </s>"``.
        others: tokens without a role, which follow those with one.
        input_names: what the tokenizer returns; what transformers takes as given by default.
        padding_side: "right", or "left" for a model that continues its input.
    """

    roles: dict[str, str]
    single: str
    pair: str
    others: tuple[str, ...] = ()
    input_names: tuple[str, ...] = ()
    padding_side: str = "right"


def train_tokenizer(texts: Iterable[str], *, vocab_size: int, special: SpecialTokens) -> Tokenizer:
    """Train the tokenizer; the same texts give the same vocabulary in every process.

    Digits are split one by one, so that a number seen for the first time is copied digit by digit.
    """
    tokenizer = Tokenizer(models.BPE())
    # A blank in front, so that a word is the same token at the start of a text as inside it; the decoder takes it back.
    tokenizer.normalizer = normalizers.Prepend(" ")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Strip(content=" ", left=1, right=0)])
    tokens = [*special.roles.values(), *special.others]
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=tokens,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    used = [token for token in tokens if token in special.pair.split() or f"{token}:1" in special.pair.split()]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=special.single,
        pair=special.pair,
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in used],
    )
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path, *, special: SpecialTokens, max_length: int) -> None:
    """Write the two files of a tokenizer folder that transformers 4 and 5 both open with ``AutoTokenizer``.

    Written by hand: a folder saved by transformers 5 names a class that 4 does not have.
    """
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        **special.roles,
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_length,
        "padding_side": special.padding_side,
        "truncation_side": "right",
        "clean_up_tokenization_spaces": False,
    }
    if special.input_names:
        settings["model_input_names"] = list(special.input_names)
    (folder / "tokenizer_config.json").write_text(
        json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8"
    )
