"""A causal model reads a prompt and writes on: the completion is learned, the prompt is not."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import PreTrainedTokenizerBase

from harness.data.rows import Row
from harness.errors import DataError
from harness.forms.chat import encode_chat, require_template
from harness.forms.writing import IDS_ALONE, Writing, cut
from harness.models.loading import LoadedModel
from harness.tasks.completions import Exchange, check_completions
from harness.tasks.labels import LabelReport
from harness.tasks.task import IGNORE_INDEX, Batch, Collator, EncodedRow, Features, flatten


class Causal(Writing):
    """The loss is the negative log-likelihood of the completion's tokens, EOS included.

    Prompt and target are tokenized apart and joined, so the border between them is where it is in generation, whatever
    the tokenizer would merge across it. The prompt begins as the tokenizer begins a text (with BOS, where it does
    that) and ends with the task's separator. With ``encoding.chat`` the tokenizer's chat template writes both.
    """

    auto_class = "AutoModelForCausalLM"

    @property
    def encoding(self) -> dict[str, bool | int | str]:
        """The settings that decide how a row is encoded."""
        settings = self.experiment.encoding
        return {**super().encoding, "loss_on": settings.loss_on, "chat": settings.chat}

    def load(self, rows: Sequence[Row]) -> LoadedModel:
        """Load the experiment's model; for a chat its tokenizer needs a template."""
        loaded = super().load(rows)
        if self.experiment.encoding.chat:
            require_template(loaded.tokenizer, loaded.name)
        return loaded

    def encode(self, rows: Sequence[Row], loaded: LoadedModel) -> list[EncodedRow]:
        """Turn rows into token ids, cut to the limits: a prompt in its middle, a target before its EOS.

        Raises:
            DataError: no token of a prompt is left, or the model has too few places for a row.
            EmptyTargetError: no token of a target is left beside EOS; the message names the rows.
        """
        settings, tokenizer = self.experiment.encoding, loaded.tokenizer
        encoded = []
        exchanges = self._write_exchanges(rows, self.write_prompts(rows, tokenizer), tokenizer)
        for row, whole in zip(rows, exchanges, strict=True):
            read = cut_middle(whole.prompt, settings.max_input_tokens)
            said = cut(whole.completion, settings.max_target_tokens)
            encoded.append(
                EncodedRow(
                    id=row.id,
                    input_ids=read,
                    features=(join(read, said, learn_prompt=settings.loss_on == "all"),),
                    input_cut=len(whole.prompt) > settings.max_input_tokens,
                    target_cut=len(whole.completion) > settings.max_target_tokens,
                )
            )
        targets = [row.features[0]["input_ids"][len(row.input_ids) :] for row in encoded]
        self.require_texts(encoded, {tokenizer.bos_token_id, tokenizer.eos_token_id}, targets)
        self._require_places(encoded, loaded)
        return encoded

    def make_collator(self, loaded: LoadedModel) -> Collator:
        """Pad on the right to the longest row of the batch.

        The collator returns ``input_ids``, ``attention_mask`` and ``labels``, (batch, length) int64 each. Mask and
        labels go by length, never by token: pad may be EOS.
        """
        fillers = {"input_ids": loaded.tokenizer.pad_token_id, "attention_mask": 0, "labels": IGNORE_INDEX}

        def collate(examples: list[Features]) -> Batch:
            return {
                name: torch.nn.utils.rnn.pad_sequence(
                    [torch.tensor(example[name]) for example in examples], batch_first=True, padding_value=filler
                )
                for name, filler in fillers.items()
            }

        return collate

    def audit(
        self, rows: Sequence[Row], encoded: Sequence[EncodedRow], loaded: LoadedModel, collator: Collator
    ) -> LabelReport:
        """Make sure that the completions are learned, each with one EOS, and the prompts as the settings say."""
        settings, size = self.experiment.encoding, self.experiment.training.batch_size
        tokenizer = loaded.tokenizer
        learn_prompt = settings.loss_on == "all"
        expected = [
            Exchange(
                prompt=cut_middle(whole.prompt, settings.max_input_tokens),
                completion=cut(whole.completion, settings.max_target_tokens),
            )
            for whole in self._write_exchanges(rows, self.write_prompts(rows, tokenizer), tokenizer)
        ]
        supervised = masked = 0
        for start in range(0, len(encoded), size):
            batch = collator(flatten(encoded[start : start + size]))
            check_completions(
                batch, expected[start : start + size], eos=tokenizer.eos_token_id, learn_prompt=learn_prompt
            )
            supervised += int((batch["labels"] != IGNORE_INDEX).sum())
            masked += int((batch["labels"] == IGNORE_INDEX).sum())
        what = "prompts and completions" if learn_prompt else "the completions"
        return LabelReport(
            summary=f"{supervised:,} supervised tokens are {what}, each with one EOS",
            rows=len(encoded),
            supervised_tokens=supervised,
            masked_tokens=masked,
            targets_cut=sum(row.target_cut for row in encoded),
            inputs_cut=sum(row.input_cut for row in encoded),
        )

    def read(self, rows: Sequence[Row], prompts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
        """The ids of each row's prompt, whole, up to where the completion begins."""
        return [list(whole.prompt) for whole in self._write_exchanges(rows, prompts, tokenizer)]

    def _write_exchanges(
        self, rows: Sequence[Row], prompts: Sequence[str], tokenizer: PreTrainedTokenizerBase
    ) -> list[Exchange]:
        """The ids of each row's prompt and completion, whole."""
        if self.experiment.encoding.chat:
            limit = self.experiment.encoding.max_input_tokens
            # The turns before the last are messages of their own.
            said_last = [self.prefix + row.input if row.turns else p for row, p in zip(rows, prompts, strict=True)]
            texts = zip(rows, said_last, self.write_targets(rows), strict=True)
            return [encode_chat(tokenizer, row, prompt, target, limit) for row, prompt, target in texts]
        # A text that happens to hold "</s>" is text; taken for the token it would end the completion there.
        read = tokenizer(list(prompts), **IDS_ALONE)["input_ids"]
        between, said = (
            tokenizer(texts, add_special_tokens=False, **IDS_ALONE)["input_ids"]
            for texts in ([self.task.separator], self.write_targets(rows))
        )
        eos = tokenizer.eos_token_id
        # Some tokenizers close every text with EOS, and a prompt goes on.
        opened = [ids[:-1] if ids and ids[-1] == eos else ids for ids in read]
        return [
            Exchange(prompt=[*ids, *between[0]], completion=[*target, eos])
            for ids, target in zip(opened, said, strict=True)
        ]

    def _require_places(self, encoded: Sequence[EncodedRow], loaded: LoadedModel) -> None:
        places: int | None = getattr(loaded.model.config, "max_position_embeddings", None)
        if places is None:
            return
        new = self.experiment.generation.max_length
        for row in encoded:
            needed = max(len(row.features[0]["input_ids"]), len(row.input_ids) + new)
            if needed > places:
                raise DataError(
                    f'Row "{row.id}" needs {needed} places: its prompt takes {len(row.input_ids)}, its target '
                    f"{len(row.labels) - len(row.input_ids)}, its output up to {new}; {loaded.name} has {places}.",
                    why="Behind its last place a causal model fails, or writes noise.",
                    fix="Lower encoding.max_input_tokens, encoding.max_target_tokens or generation.max_length.",
                )


def join(prompt: Sequence[int], completion: Sequence[int], *, learn_prompt: bool) -> Features:
    """One training example: the loss is taken on the completion, and on the prompt where that is to be learned."""
    ids = [*prompt, *completion]
    labels = ids if learn_prompt else [IGNORE_INDEX] * len(prompt) + [*completion]
    return {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": labels}


def cut_middle(ids: Sequence[int], limit: int) -> list[int]:
    """At most ``limit`` ids, of the beginning and the end alike: instructions stand at either.

    Source: Bai et al. 2024, "LongBench: A Bilingual, Multitask Benchmark for Long Context Understanding", section 4.1.
    """
    if len(ids) <= limit:
        return [*ids]
    end = limit // 2
    return [*ids[: limit - end], *ids[len(ids) - end :]]
