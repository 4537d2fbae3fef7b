"""Targets that are models: checkpoints with their tokenizers, taggers with a random field, and adapters."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from harness.config import ModelSettings
from tests.fuzz.damage import Files
from tests.fuzz.texts import made_by
from tests.fuzz.trial import Target

WORDS = ("<pad>", "</s>", "<unk>", "one", "two", "three", "four")
TAGS = ("O", "B-PER", "I-PER")


def _save_tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: number for number, word in enumerate(WORDS)}
    rules = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    rules.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=rules,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
    ).save_pretrained(folder)


def _make_t5() -> Any:
    from transformers import T5Config, T5ForConditionalGeneration

    return T5ForConditionalGeneration(
        T5Config(
            vocab_size=len(WORDS), d_model=4, d_kv=2, d_ff=4, num_layers=1, num_heads=1, decoder_start_token_id=0,
            relative_attention_num_buckets=4,
        )
    )  # fmt: skip


def make_checkpoint(folder: Path) -> None:
    """A T5 of a few hundred parameters, with its tokenizer."""
    _make_t5().save_pretrained(folder)
    _save_tokenizer(folder)


def make_checkpoint_of_several_files(folder: Path) -> None:
    """The same with an index, which names the files of the weights."""
    _make_t5().save_pretrained(folder, max_shard_size=400)
    _save_tokenizer(folder)
    assert (folder / "model.safetensors.index.json").is_file()


def make_tagger(folder: Path) -> None:
    """A BERT with a random field."""
    from transformers import BertConfig

    from harness.models.tagger import AutoCrfTagger

    names = dict(enumerate(TAGS))
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=4, num_hidden_layers=1, num_attention_heads=1, intermediate_size=4,
        max_position_embeddings=16, id2label=names, label2id={tag: number for number, tag in names.items()},
    )  # fmt: skip
    AutoCrfTagger.from_config(config).save_pretrained(folder)
    _save_tokenizer(folder)


@cache
def _base() -> Any:
    import torch

    torch.manual_seed(0)
    return _make_t5()


def make_adapter(kind: str) -> Any:
    """Writes a folder with an adapter of a kind: LoRA's or a bottleneck's."""

    def make(folder: Path) -> None:
        import copy

        from peft import LoraConfig, get_peft_model

        from harness.methods.bottleneck import BottleneckConfig
        from harness.methods.stored import StoredAdapter

        if kind == "lora":
            config: Any = LoraConfig(r=1, target_modules=["q"])
        else:
            config = BottleneckConfig(target_modules=["wo"], reduction_factor=2)
        wrapped = get_peft_model(copy.deepcopy(_base()), config)
        StoredAdapter.of(wrapped).save(folder, _base(), base="0" * 64)
        (folder / "README.md").unlink(missing_ok=True)

    return make


def use_checkpoint(folder: Path, data: bytes) -> None:
    """Load it, and say what it is."""
    from harness.models.architecture import read_architecture
    from harness.models.loading import load_model

    settings = ModelSettings(name=str(folder))
    read_architecture(settings)
    load_model(settings, auto_class="AutoModelForSeq2SeqLM").identify()


def use_tagger(folder: Path, data: bytes) -> None:
    """Load it with its tags."""
    from harness.models.head import Head
    from harness.models.loading import load_model

    load_model(ModelSettings(name=str(folder)), auto_class="AutoCrfTagger", head=Head(labels=TAGS, seed=0)).identify()


def use_adapter(folder: Path, data: bytes) -> None:
    """Read it, and put it on its base."""
    from harness.methods.stored import StoredAdapter

    StoredAdapter.read(folder, base="0" * 64).put_on(_base())


def keep_the_base(files: Files) -> Files:
    """An adapter that says it belongs to our base, as a hostile one would."""
    return {**files, "base.json": json.dumps({"sha256": "0" * 64}).encode()}


MODELS = (
    Target(
        name="tokenizer folders and checkpoints",
        seeds=made_by(make_checkpoint, make_checkpoint_of_several_files),
        use=use_checkpoint,
    ),
    Target(name="CRF taggers", seeds=made_by(make_tagger), use=use_tagger),
    Target(
        name="adapters",
        seeds=made_by(make_adapter("lora"), make_adapter("bottleneck")),
        use=use_adapter,
        mend=keep_the_base,
    ),
)
