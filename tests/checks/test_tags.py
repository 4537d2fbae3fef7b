"""The checks of taggers and of class names, on honest models of other kinds and on faults that no catalogue has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch

from harness.checks.classes import best_renaming
from harness.checks.pipeline import Pipeline
from harness.checks.tags import Scored, sum_up
from harness.defects.labels import crf_includes_cls_sep_subwords
from harness.defects.reference import REFERENCES, classifier, models, tagger
from harness.forms.words import first_pieces
from harness.models.crf import LinearChainCrf
from tests.checks.planted import audit_with, checks_of, complaints, failures

CHECKS = checks_of("tags", "classes")
SUM = "a-tagger-gives-each-sequence-its-probability"
BEST = "tags-are-the-likeliest-one-a-word"
NAMES = "class-ids-have-the-models-names"
LEARNED = "what-was-learned-is-named-right"


class FreeTagger(tagger.CrfTagger):
    """A field in which any tag may follow any other."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.crf = LinearChainCrf(config.num_labels)


class SoftTagger(tagger.CrfTagger):
    """No field: each tag by itself."""

    def forward(self, input_ids: Any, attention_mask: Any, labels: Any = None) -> Any:  # noqa: D102 - as of every tagger
        output = super().forward(input_ids, attention_mask)
        if labels is not None:
            output.loss = torch.nn.functional.cross_entropy(output.logits.flatten(0, 1), labels.flatten())
        return output


def with_tagger(kind: type[tagger.CrfTagger], **parts: Any) -> Pipeline:
    clean = REFERENCES["tagger"]
    config = classifier.encoder_config(clean.tokenizer, tagger.TAGS)
    return replace(clean, make_model=lambda seed=0: models.seeded(lambda: kind(config), seed), **parts)


def tag_softly(model: Any, rows: Sequence[tagger.Row]) -> list[list[str]]:
    tokenizer = REFERENCES["tagger"].tokenizer
    found = []
    for row in rows:
        batch = tokenizer([row["tokens"]], is_split_into_words=True, return_tensors="pt")
        best = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits[0].argmax(-1).tolist()
        found.append([tagger.TAGS[best[place]] for place in first_pieces(batch.word_ids(0)).values()])
    return found


def label_all_pieces(rows: Sequence[tagger.Row]) -> list[dict[str, Any]]:
    """Every piece of a word has the word's tag."""
    tokenizer = REFERENCES["tagger"].tokenizer
    encoded = tokenizer([row["tokens"] for row in rows], is_split_into_words=True)
    return [
        {
            "input_ids": encoded["input_ids"][number],
            "attention_mask": encoded["attention_mask"][number],
            "labels": [
                -100 if word is None else tagger.TAGS.index(row["tags"][word]) for word in encoded.word_ids(number)
            ],
        }
        for number, row in enumerate(rows)
    ]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", [tagger.CrfTagger, FreeTagger])
def test_fields_with_and_without_constraints_pass(kind: type[tagger.CrfTagger], seed: int) -> None:
    """A field's probabilities sum to 1 and its own decoder finds the best tags, whatever the seed."""
    assert complaints(audit_with(with_tagger(kind), checks_of("tags"), seed=seed)) == []


@pytest.mark.parametrize("encode", [None, label_all_pieces])
def test_a_tagger_without_a_field_passes(encode: Callable[..., Any] | None) -> None:
    """Tags that are learned one by one are honest, with labels at first pieces or at all."""
    given = with_tagger(SoftTagger, tag=tag_softly)
    given = given if encode is None else replace(given, encode=encode)
    assert complaints(audit_with(given, checks_of("tags"))) == []


@pytest.mark.parametrize("seed", range(3))
def test_a_free_field_that_decodes_all_pieces_is_seen(seed: int) -> None:
    """Without constraints no tag is illegal, but the tags returned are not the likeliest ones."""
    report = audit_with(crf_includes_cls_sep_subwords.plant(with_tagger(FreeTagger)), checks_of("tags"), seed=seed)
    assert failures(report) == {BEST: ("crf-includes-cls-sep-subwords", "crf-pads-as-class-zero")}


def test_labels_at_special_tokens_are_seen() -> None:
    """Labels at [CLS] and [SEP] are counted."""
    clean = REFERENCES["tagger"]

    def encode(rows: Sequence[tagger.Row]) -> list[dict[str, Any]]:
        return [
            {**feature, "labels": [max(label, 0) for label in feature["labels"]]}
            for feature in tagger.encode_rows(clean.tokenizer, rows)
        ]

    assert failures(audit_with(replace(clean, encode=encode), CHECKS))[SUM][0] == "crf-pads-as-class-zero"


def test_a_tag_that_is_lost_is_seen() -> None:
    """One tag too few for the words of a row fails."""
    clean = REFERENCES["tagger"]
    short = replace(
        clean, tag=lambda model, rows: [tags[:-1] for tags in tagger.tag_rows(clean.tokenizer, model, rows)]
    )
    assert BEST in failures(audit_with(short, checks_of("tags")))


def test_a_tag_part_of_the_wrong_kind_is_the_users_error() -> None:
    """Texts in place of lists of names end with an error that says what is expected."""
    wrong = replace(REFERENCES["tagger"], tag=lambda model, rows: ["O"] * len(rows))
    assert "expected one list of tag names a row" in str(audit_with(wrong, checks_of("tags")))


def test_the_probabilities_of_a_mean_and_of_a_sum_are_told_apart() -> None:
    """A uniform loss sums to 1 whether it is a row's or the mean over its two words."""
    for loss in (2 * torch.log(torch.tensor(3.0)).item(), torch.log(torch.tensor(3.0)).item()):
        losses = {(a, b): loss for a in range(3) for b in range(3)}
        assert sum_up(Scored(shake=0, row={}, losses=losses)) == pytest.approx(1)


def test_tags_in_another_order_are_seen() -> None:
    """Tag ids in the order of the alphabet, beside a model that has O first, fail by name."""
    clean = REFERENCES["tagger"]
    names = sorted(tagger.TAGS)

    def encode(rows: Sequence[tagger.Row]) -> list[dict[str, Any]]:
        return [
            {**feature, "labels": [-100 if i < 0 else names.index(tagger.TAGS[i]) for i in feature["labels"]]}
            for feature in tagger.encode_rows(clean.tokenizer, rows)
        ]

    assert failures(audit_with(replace(clean, encode=encode), CHECKS))[NAMES] == ("label-id-order-mismatch",)


def test_wrong_names_of_outputs_are_seen_without_any_config() -> None:
    """A classifier whose config names nothing, and whose outputs are named in another order, fails by training."""
    clean = REFERENCES["classifier"]
    make = clean.make_model
    assert make is not None

    def make_model(seed: int = 0) -> Any:
        model = make(seed)
        model.config.id2label = {index: f"LABEL_{index}" for index in range(len(classifier.TOPICS))}
        return model

    def classify(names: Sequence[str], model: Any, rows: Sequence[Any]) -> list[str]:
        found = classifier.classify_rows(clean.tokenizer, model, rows)
        return [names[int(label.removeprefix("LABEL_"))] for label in found]

    right = replace(clean, make_model=make_model, classify=partial(classify, classifier.TOPICS))
    assert complaints(audit_with(right, CHECKS)) == []
    wrong = replace(right, classify=partial(classify, classifier.TOPICS[::-1]))
    assert failures(audit_with(wrong, CHECKS))[LEARNED][0] == "label-id-order-mismatch"


def test_the_best_renaming_is_one_to_one() -> None:
    """The commonest pairs come first, and no class is given twice."""
    assert best_renaming(["a", "a", "b", "b", "b"], [1, 1, 1, 2, 2]) == {"a": 1, "b": 2}
