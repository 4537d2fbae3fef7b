"""Tokenizers for the clean pipelines: small ones trained here, and real ones from a folder."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from harness.config import ModelSettings
from harness.data.newsroom import draw_event, write_document
from harness.defects.reference.rows import tell
from harness.models.locate import locate_model

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<|{{ message.role }}|>\n"
    "{% if message.role == 'assistant' %}{% generation %}{{ message.content }}{{ eos_token }}{% endgeneration %}"
    "{% else %}{{ message.content }}\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
"""A chat template that marks what the assistant says, as TRL and transformers want it."""


@cache
def t5_tokenizer() -> PreTrainedTokenizerBase:
    """The tokenizer of the embedded T5: 2,048 unigram pieces with sentinels, ``</s>`` at the end."""
    place = locate_model(ModelSettings())
    return AutoTokenizer.from_pretrained(place.path)


@cache
def causal_tokenizer() -> PreTrainedTokenizerBase:
    """Byte-level BPE of 800 tokens with ``<s>``, ``</s>``, ``<pad>`` and a chat template, as of a Llama."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<pad>", "<s>", "</s>", "<|user|>", "<|system|>", "<|assistant|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=800,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>", padding_side="left"
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


@cache
def encoder_tokenizer() -> PreTrainedTokenizerBase:
    """WordPiece of 1,000 tokens with ``[CLS]`` and ``[SEP]``, lower-cased, as of a BERT."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    places = {piece: place for place, piece in enumerate([*special, *_frequent_pieces(1000 - len(special))])}
    tokenizer = Tokenizer(models.WordPiece(places, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def _frequent_pieces(count: int) -> list[str]:
    """Every character, and the most frequent beginnings and ends of words.

    The library's trainer for WordPiece gives other pieces in every process, and with them other models.
    """
    words = Counter(word for text in _texts() for word in re.findall(r"\w+|[^\w\s]", text.lower()))
    characters = sorted({character for word in words for character in word})
    every = [*characters, *(f"##{character}" for character in characters)]
    pieces: Counter[str] = Counter()
    for word, times in words.items():
        for cut in range(2, len(word)):
            pieces[word[:cut]] += times
            pieces[f"##{word[cut:]}"] += times
        pieces[word] += times * len(word)
    frequent = sorted(pieces.keys() - set(every), key=lambda piece: (-pieces[piece], piece))
    return [*every, *frequent][:count]


def real_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """A tokenizer in the files of its makers: T5, Marian, Phi-3, GPT-2 or BERT."""
    import transformers  # noqa: PLC0415 - the classes are looked up by name

    ending = "_file" if transformers.__version__.startswith("4.") else ""  # other names in 5, wrong ones are ignored
    if folder.name == "gpt2":
        files = {f"vocab{ending}": str(folder / "encoder.json"), f"merges{ending}": str(folder / "vocab.bpe")}
        made = transformers.GPT2TokenizerFast(**files)
        made.pad_token = made.eos_token
        made.padding_side = "left"
        return made
    if folder.name.startswith("bert"):
        files = {f"vocab{ending}": str(folder / "vocab.txt")}
        return transformers.BertTokenizerFast(**files, do_lower_case=folder.name.endswith("uncased"))
    if folder.name.startswith("marian"):
        return transformers.MarianTokenizer.from_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


def _texts() -> Iterator[str]:
    for index in range(200):
        event = draw_event(1, index)
        row = tell(event)
        yield from (write_document(event).text, row["input"], row["target"])
