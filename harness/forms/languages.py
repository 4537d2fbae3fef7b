"""Models of several languages: which one is read and which one is written, as tokens that their tokenizers know."""

from __future__ import annotations

from transformers import PreTrainedTokenizerBase

from harness.config import EncodingSettings
from harness.errors import ModelError
from harness.models.loading import LoadedModel


def set_languages(loaded: LoadedModel, settings: EncodingSettings) -> None:
    """Tell the tokenizer what it reads and what it writes, where that is set.

    Raises:
        ModelError: the tokenizer knows no languages, or not these, or does not begin a target with its language.
    """
    tokenizer = loaded.tokenizer
    for setting, attribute in (("source_language", "src_lang"), ("target_language", "tgt_lang")):
        language = getattr(settings, setting)
        if language is not None and not hasattr(tokenizer, attribute):
            raise ModelError(
                f'encoding.{setting} is "{language}", and the tokenizer of "{loaded.name}" knows no languages.',
                why="A language that is set and not heeded would mean another run than the one asked for.",
                fix="Name the languages in encoding.prefix, or choose a model of the kind M2M100, NLLB or mBART-50.",
            )
        if language is not None and not _accepts(tokenizer, attribute, language):
            raise _refuse(loaded.name, f'does not know the language "{language}" of encoding.{setting}')
    if hasattr(tokenizer, "tgt_lang") and not _accepts(tokenizer, "tgt_lang", tokenizer.tgt_lang):
        raise _refuse(loaded.name, "needs to know the language of the targets, and encoding.target_language is not set")
    if settings.target_language is not None and find_target_token(tokenizer) == tokenizer.eos_token_id:
        raise ModelError(
            f'The tokenizer of "{loaded.name}" does not put the language of a target in front of it.',
            why="Outputs could not be made to begin with it.",
            fix="Choose a model of the kind M2M100, NLLB or mBART-50.",
        )


def find_target_token(tokenizer: PreTrainedTokenizerBase) -> int:
    """The token with which every target begins."""
    first: int = tokenizer(text_target="")["input_ids"][0]
    return first


def _accepts(tokenizer: PreTrainedTokenizerBase, attribute: str, language: str | None) -> bool:
    """Whether a tokenizer makes something of a language; it is set from here on."""
    try:
        setattr(tokenizer, attribute, language)
        ids = (tokenizer("") if attribute == "src_lang" else tokenizer(text_target=""))["input_ids"]
    except KeyError:
        return False
    return tokenizer.unk_token_id not in ids


def _refuse(name: str, seen: str) -> ModelError:
    return ModelError(
        f'The tokenizer of "{name}" {seen}.',
        fix='Name it as the model does, as "de" (M2M100), "deu_Latn" (NLLB) or "de_DE" (mBART-50).',
    )
