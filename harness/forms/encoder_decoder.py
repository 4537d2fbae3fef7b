"""A text becomes a text with an encoder-decoder: the encoder reads the prompt, the decoder writes the target."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import DataCollatorForSeq2Seq, PreTrainedTokenizerBase

from harness.data.rows import Row
from harness.forms.languages import find_target_token, set_languages
from harness.forms.writing import IDS_ALONE, Writing, cut
from harness.generation.engine import Resolved
from harness.models.loading import LoadedModel
from harness.tasks.labels import LabelReport, audit_labels
from harness.tasks.task import IGNORE_INDEX, Collator, EncodedRow


class EncoderDecoder(Writing):
    """The loss is the negative log-likelihood of the target's tokens, EOS included."""

    auto_class = "AutoModelForSeq2SeqLM"

    @property
    def encoding(self) -> dict[str, bool | int | str]:
        """The settings that decide how a row is encoded."""
        settings = self.experiment.encoding
        languages = {"source_language": settings.source_language, "target_language": settings.target_language}
        return {**super().encoding, **{name: value for name, value in languages.items() if value is not None}}

    def load(self, rows: Sequence[Row]) -> LoadedModel:
        """Load the experiment's model, and tell its tokenizer the languages where they are set."""
        loaded = super().load(rows)
        set_languages(loaded, self.experiment.encoding)
        return loaded

    def resolve(self, loaded: LoadedModel) -> Resolved:
        """The generation settings; where a target language is set, outputs are forced to begin with its token."""
        resolved = super().resolve(loaded)
        if self.experiment.encoding.target_language is not None:
            resolved["forced_bos_token_id"] = find_target_token(loaded.tokenizer)
        return resolved

    def encode(self, rows: Sequence[Row], loaded: LoadedModel) -> list[EncodedRow]:
        """Turn rows into token ids, cut to the limits.

        Raises:
            DataError: no token of an input is left beside EOS.
            EmptyTargetError: no token of a target is left beside EOS; the message names the rows.
        """
        settings, tokenizer = self.experiment.encoding, loaded.tokenizer
        sources = self.read(rows, self.write_prompts(rows, tokenizer), tokenizer)
        # A text that happens to hold "</s>" is text; taken for the token it would end the target there.
        targets = tokenizer(text_target=self.write_targets(rows), **IDS_ALONE)["input_ids"]
        encoded = []
        for row, source, target in zip(rows, sources, targets, strict=True):
            ids, labels = cut(source, settings.max_input_tokens), cut(target, settings.max_target_tokens)
            features = {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": labels}
            encoded.append(
                EncodedRow(
                    id=row.id,
                    input_ids=ids,
                    features=(features,),
                    input_cut=len(source) > settings.max_input_tokens,
                    target_cut=len(target) > settings.max_target_tokens,
                )
            )
        said_of_nothing = tokenizer("")["input_ids"] + tokenizer(text_target="")["input_ids"]
        self.require_texts(encoded, set(said_of_nothing), [row.labels for row in encoded])
        return encoded

    def read(self, rows: Sequence[Row], prompts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
        """The ids of each row's prompt, whole; one that happens to hold "</s>" does not end there."""
        ids: list[list[int]] = tokenizer(list(prompts), **IDS_ALONE)["input_ids"]
        return ids

    def make_collator(self, loaded: LoadedModel) -> Collator:
        """Pad to the longest row of the batch; labels get -100; decoder inputs are the labels shifted by the model.

        The collator returns ``input_ids`` and ``attention_mask`` (batch, source_len), ``labels`` and
        ``decoder_input_ids`` (batch, target_len), all int64.
        """
        collator: Collator = DataCollatorForSeq2Seq(
            loaded.tokenizer, model=loaded.model, label_pad_token_id=IGNORE_INDEX
        )
        return collator

    def audit(
        self, rows: Sequence[Row], encoded: Sequence[EncodedRow], loaded: LoadedModel, collator: Collator
    ) -> LabelReport:
        """Make sure that the labels are the targets, each with one EOS, and nothing else."""
        size = self.experiment.training.batch_size
        return audit_labels(self.write_targets(rows), encoded, loaded.tokenizer, collator, batch_size=size)
