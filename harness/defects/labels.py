"""Defects of what the loss sees: labels, masks, shifts and class ids."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.modeling_outputs import TokenClassifierOutput

from harness.checks.pipeline import Pipeline
from harness.defects.defect import defect
from harness.defects.reference import assistant, causal, classifier, loop, models, reader, seq2seq, tagger
from harness.defects.reference.loop import IGNORE_INDEX
from harness.defects.reference.rows import Row
from harness.forms.words import first_pieces

Features = list[dict[str, Any]]
Batch = dict[str, torch.Tensor]


def _train_with(
    clean: Pipeline, *, encode: Callable[..., Features] | None = None, collate: Callable[..., Batch] | None = None
) -> Pipeline:
    """The pipeline with other features or batches, in training too."""
    encode, collate = encode or clean.encode, collate or clean.collate
    assert encode is not None  # noqa: S101 - every reference here encodes and collates
    assert collate is not None  # noqa: S101
    return replace(
        clean,
        encode=encode,
        collate=collate,
        train=partial(seq2seq.train_rows, encode, collate),
        resume=partial(seq2seq.train_rows, encode, collate, resume=True),
        evaluate_loss=partial(seq2seq.evaluate_loss, encode, collate),
    )


@defect(
    "seq2seq-pad-not-masked",
    "labels",
    reference="seq2seq",
    symptom="The loss is very low from the start and outputs are poor.",
    source="https://github.com/allenai/allennlp/issues/5342",
)
def seq2seq_pad_not_masked(clean: Pipeline) -> Pipeline:
    """Targets are padded to one length by the tokenizer, and the pad tokens stay in the labels."""

    def encode(rows: Sequence[Row], *, max_input_tokens: int = 128, max_target_tokens: int = 64) -> Features:
        features = seq2seq.encode_rows(clean.tokenizer, rows, max_input_tokens=max_input_tokens)
        targets = clean.tokenizer(
            text_target=[row["target"] for row in rows],
            padding="max_length",
            truncation=True,
            max_length=max_target_tokens,
        )["input_ids"]
        return [{**feature, "labels": ids} for feature, ids in zip(features, targets, strict=True)]

    return _train_with(clean, encode=encode)


@defect(
    "eos-masked-because-pad-is-eos",
    "labels",
    reference="assistant",
    symptom="The tuned model never stops by itself.",
    source="https://github.com/huggingface/transformers/issues/23530",
)
def eos_masked_because_pad_is_eos(clean: Pipeline) -> Pipeline:
    """Labels are masked wherever they hold the pad token, which is the end token as well."""

    def collate(features: Sequence[Mapping[str, Any]]) -> Batch:
        batch = causal.collate_features(clean.tokenizer, features)
        batch["labels"][batch["labels"] == clean.tokenizer.pad_token_id] = IGNORE_INDEX
        return batch

    return _train_with(clean, collate=collate)


@defect(
    "prompt-not-masked",
    "labels",
    reference="causal",
    symptom="The model also learns to write prompts, and its loss cannot be compared with that of others.",
    source="https://github.com/MervinPraison/PraisonAI/pull/4358",
)
def prompt_not_masked(clean: Pipeline) -> Pipeline:
    """Labels are a copy of the input ids, although the completion alone is meant to be learned."""

    def encode(rows: Sequence[Row], **limits: int) -> Features:
        features = causal.encode_rows(clean.tokenizer, rows, **limits)
        return [{**feature, "labels": list(feature["input_ids"])} for feature in features]

    return _train_with(clean, encode=encode)


@defect(
    "assistant-mask-all-zero",
    "labels",
    reference="assistant",
    symptom="Training runs to its end and the model is as before.",
    source="https://github.com/marin-community/marin/issues/7237",
)
def assistant_mask_all_zero(clean: Pipeline) -> Pipeline:
    """The chat template has no generation markers, so nothing is known to be said by the assistant."""
    tokenizer = copy.deepcopy(clean.tokenizer)
    tokenizer.chat_template = (
        "{{ bos_token }}{% for message in messages %}<|{{ message.role }}|>\n{{ message.content }}"
        "{% if message.role == 'assistant' %}{{ eos_token }}{% else %}\n{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
    )
    return replace(_train_with(clean, encode=partial(assistant.encode_rows, tokenizer)), tokenizer=tokenizer)


@defect(
    "labels-all-masked-by-truncation",
    "labels",
    reference="causal",
    symptom="The loss of some batches is 0 or not a number, and long rows are never learned.",
    source="https://github.com/huggingface/trl/issues/6668",
)
def labels_all_masked_by_truncation(clean: Pipeline) -> Pipeline:
    """Prompt and completion are cut together at a length that long prompts fill alone."""

    def encode(rows: Sequence[Row], *, max_length: int = 42) -> Features:
        features = causal.encode_rows(clean.tokenizer, rows)
        return [{name: values[:max_length] for name, values in feature.items()} for feature in features]

    return _train_with(clean, encode=encode)


@defect(
    "labels-shifted-twice",
    "labels",
    reference="causal",
    symptom="The loss stops falling early, and outputs leave out every second token.",
    source="https://github.com/huggingface/transformers/issues/47394",
)
def labels_shifted_twice(clean: Pipeline) -> Pipeline:
    """Labels are the next tokens already, and the model shifts them once more."""

    def encode(rows: Sequence[Row], **limits: int) -> Features:
        features = causal.encode_rows(clean.tokenizer, rows, **limits)
        return [{**feature, "labels": [*feature["labels"][1:], IGNORE_INDEX]} for feature in features]

    return _train_with(clean, encode=encode)


@defect(
    "t5-manual-shift-drops-first-token",
    "labels",
    reference="seq2seq",
    symptom="The first word of outputs is missing or wrong.",
    source="https://github.com/huggingface/transformers/issues/5987",
)
def t5_manual_shift_drops_first_token(clean: Pipeline) -> Pipeline:
    """The recipe of BART, whose targets begin with a start token, is used for T5, whose targets do not."""

    def collate(features: Sequence[Mapping[str, Any]]) -> Batch:
        batch = seq2seq.collate_features(clean.tokenizer, features)
        targets = batch.pop("labels")
        inputs = targets[:, :-1].masked_fill(targets[:, :-1] == IGNORE_INDEX, clean.tokenizer.pad_token_id)
        return {**batch, "decoder_input_ids": inputs.contiguous(), "labels": targets[:, 1:].contiguous()}

    return _train_with(clean, collate=collate)


@defect(
    "train-generate-decoder-start-mismatch",
    "labels",
    reference="seq2seq",
    symptom="The loss is fine, and outputs go wrong from their first token on.",
    source="https://github.com/huggingface/transformers/issues/6156",
)
def train_generate_decoder_start_mismatch(clean: Pipeline) -> Pipeline:
    """The model's config starts the decoder with EOS in training, its generation config with pad."""
    make = clean.make_model
    assert make is not None  # noqa: S101

    def make_model(seed: int = 0) -> PreTrainedModel:
        model: PreTrainedModel = make(seed)
        model.config.decoder_start_token_id = clean.tokenizer.eos_token_id
        return model

    return replace(clean, make_model=make_model)


@defect(
    "minus100-in-model-inputs",
    "labels",
    reference="seq2seq",
    symptom="An index error on a GPU; where ids are clamped, noise that depends on the batch.",
    source="https://github.com/IDEA-CCNL/Fengshenbang-LM/issues/414",
)
def minus100_in_model_inputs(clean: Pipeline) -> Pipeline:
    """One padding value, -100, serves inputs and labels; inputs are clamped, and the mask takes all for text."""

    def collate(features: Sequence[Mapping[str, Any]]) -> Batch:
        batch = {
            name: torch.nn.utils.rnn.pad_sequence(
                [torch.tensor(feature[name]) for feature in features], batch_first=True, padding_value=IGNORE_INDEX
            )
            for name in ("input_ids", "labels")
        }
        mask = (batch["input_ids"] != clean.tokenizer.pad_token_id).long()
        return {**batch, "input_ids": batch["input_ids"].clamp(min=0), "attention_mask": mask}

    return _train_with(clean, collate=collate)


@defect(
    "label-smoothing-normalised-wrong",
    "labels",
    reference="seq2seq",
    symptom="The loss falls when a batch has more padding, and smoothing does little.",
    source="https://github.com/huggingface/transformers/pull/5919",
)
def label_smoothing_normalised_wrong(clean: Pipeline) -> Pipeline:
    """A smoothed loss leaves ignored places out of the sum and counts them in the number that divides it."""
    smoothing = 0.1

    def loss(model: torch.nn.Module, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        labels = batch["labels"]
        spoken = -model(**batch).logits.log_softmax(-1)
        ignored = labels == IGNORE_INDEX
        nll = spoken.gather(-1, labels.clamp(min=0)[..., None])[..., 0].masked_fill(ignored, 0.0)
        flat = spoken.mean(-1).masked_fill(ignored, 0.0)
        mean: torch.Tensor = ((1 - smoothing) * nll + smoothing * flat).sum() / labels.numel()
        return mean

    def train(
        model: torch.nn.Module, rows: Sequence[Row], *, seed: int = 0, epochs: int = 4, batch_size: int = 8
    ) -> torch.nn.Module:
        assert clean.encode is not None  # noqa: S101
        assert clean.collate is not None  # noqa: S101
        features = clean.encode(rows)
        return loop.train(model, features, clean.collate, loss=loss, seed=seed, epochs=epochs, batch_size=batch_size)

    return replace(clean, loss=loss, train=train, resume=None)


@defect(
    "crf-pads-as-class-zero",
    "labels",
    reference="tagger",
    symptom="The field is no better than a softmax, and results change with padding.",
    source="https://github.com/dsindex/ntagger/issues/1",
)
def crf_pads_as_class_zero(clean: Pipeline) -> Pipeline:
    """-100 becomes class 0 and the attention mask goes to the field: pieces and special tokens count as words."""

    class Tagger(tagger.CrfTagger):
        def forward(
            self,
            input_ids: Any = None,
            attention_mask: Any = None,
            labels: Any = None,
            num_items_in_batch: Any = None,
            **inputs: Any,
        ) -> TokenClassifierOutput:
            output = super().forward(input_ids, attention_mask)
            if labels is not None:
                tags = labels.masked_fill(labels == IGNORE_INDEX, 0)
                likelihood = self.crf.log_likelihood(output.logits, tags, attention_mask.bool())
                output.loss = -likelihood.sum() / attention_mask.sum()
            return output

    def make_model(seed: int = 0) -> Tagger:
        config = classifier.encoder_config(clean.tokenizer, tagger.TAGS)
        made: Tagger = models.seeded(lambda: Tagger(config), seed)
        return made

    return replace(clean, make_model=make_model, load=Tagger.from_pretrained)


@defect(
    "crf-includes-cls-sep-subwords",
    "labels",
    reference="tagger",
    symptom="Tags that cannot follow each other stand side by side, and F1 is low.",
    source="https://github.com/lonePatient/BERT-NER-Pytorch/issues/25",
)
def crf_includes_cls_sep_subwords(clean: Pipeline) -> Pipeline:
    """The field decodes every piece that attention sees, and what is no first piece is taken out afterwards."""

    def tag(model: tagger.CrfTagger, rows: Sequence[tagger.Row]) -> list[list[str]]:
        model.eval()
        batch = clean.tokenizer(
            [row["tokens"] for row in rows],
            is_split_into_words=True,
            split_special_tokens=True,
            padding=True,
            return_tensors="pt",
        )
        with torch.inference_mode():
            logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        paths = model.crf.decode(logits, batch["attention_mask"].bool())
        return [
            [tagger.TAGS[path[place]] for place in first_pieces(batch.word_ids(number)).values()]
            for number, path in enumerate(paths)
        ]

    def evaluate(model: tagger.CrfTagger, rows: Sequence[tagger.Row]) -> dict[str, float]:
        outputs = tag(model, rows)
        return {**tagger.score_tags(outputs, [row["tags"] for row in rows]), "rows": float(len(outputs))}

    return replace(clean, tag=tag, evaluate=evaluate)


@defect(
    "qa-answer-outside-window-mislabelled",
    "labels",
    reference="reader",
    symptom="The model points at the borders of windows.",
    source="https://github.com/huggingface/transformers/pull/250",
)
def qa_answer_outside_window_mislabelled(clean: Pipeline) -> Pipeline:
    """Where an answer lies outside a window, its ends are moved to the window's first or last token."""

    def encode(rows: Sequence[dict[str, Any]], **limits: int) -> Features:
        assert clean.encode is not None  # noqa: S101
        features: Features = []
        for row in rows:
            for feature in clean.encode([row], **limits):
                places = [place for place, span in enumerate(feature["offset_mapping"]) if span]
                if row["answers"]["text"]:
                    start = row["answers"]["answer_start"][0]
                    end = start + len(row["answers"]["text"][0])
                    spans = feature["offset_mapping"]
                    first = max([p for p in places if spans[p][0] <= start], default=places[0])
                    last = min([p for p in places if spans[p][1] >= end], default=places[-1])
                    feature |= {"start_positions": first, "end_positions": max(first, last)}
                features.append(feature)
        return features

    assert clean.collate is not None  # noqa: S101
    return replace(clean, encode=encode, train=partial(reader.train_rows, encode, clean.collate))


@defect(
    "label-id-order-mismatch",
    "labels",
    reference="classifier",
    symptom="Accuracy is far below chance, although the model has learned.",
    source="https://github.com/QData/TextAttack/issues/684",
)
def label_id_order_mismatch(clean: Pipeline) -> Pipeline:
    """The data numbers the topics as they come, the model's config in the order of the alphabet."""
    assert clean.splits is not None  # noqa: S101
    names = list(dict.fromkeys(row["topic"] for row in clean.splits()["train"]))

    def encode(rows: Sequence[Row], **limits: int) -> Features:
        features = classifier.encode_rows(clean.tokenizer, rows, **limits)
        return [{**feature, "labels": names.index(row["topic"])} for feature, row in zip(features, rows, strict=True)]

    return _train_with(clean, encode=encode)
