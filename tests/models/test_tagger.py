"""A field on a token classifier: loss, files, the body's names, and what adapters and trainers make of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    AutoModelForTokenClassification,
    BertConfig,
    BertForMaskedLM,
    DistilBertConfig,
    PretrainedConfig,
    PreTrainedModel,
    RobertaConfig,
    RoFormerConfig,
    T5Config,
    VitsConfig,
)

from harness.data.bio import find_break
from harness.errors import ModelError
from harness.models.crf import LinearChainCrf
from harness.models.tagger import AutoCrfTagger, CrfTagger

NAMES = ("O", "B-X", "I-X", "B-Y", "I-Y")
LABELS = {"id2label": dict(enumerate(NAMES)), "label2id": {name: index for index, name in enumerate(NAMES)}}
SHAPE = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
CONFIGS: dict[str, PretrainedConfig] = {
    "bert": BertConfig(**SHAPE, **LABELS),
    "roberta": RobertaConfig(**SHAPE, **LABELS, pad_token_id=0),
    "roformer": RoFormerConfig(**SHAPE, **LABELS, embedding_size=16),
    "distilbert": DistilBertConfig(vocab_size=40, dim=16, n_layers=1, n_heads=2, hidden_dim=16, **LABELS),
}
IDS = torch.randint(5, 40, (2, 7), generator=torch.Generator().manual_seed(0))
MASK = torch.tensor([[1] * 7, [1] * 5 + [0] * 2])
TAGS = torch.tensor([[-100, 0, 1, 2, -100, 0, -100], [-100, 3, -100, 4, -100, -100, -100]])


def make_tagger(config: PretrainedConfig = CONFIGS["bert"]) -> Any:
    torch.manual_seed(0)
    model = AutoCrfTagger.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.crf.parameters():
            parameter.normal_()
    return model


@pytest.fixture(params=CONFIGS)
def tagger(request: pytest.FixtureRequest) -> Any:
    """A tagger of each architecture."""
    return make_tagger(CONFIGS[request.param])


def test_loss_is_the_mean_over_words(tagger: Any) -> None:
    """The loss is the negative log-likelihood of the labelled pieces' tags, over all rows, by their number."""
    output = tagger(input_ids=IDS, attention_mask=MASK, labels=TAGS)
    assert output.logits.shape == (2, 7, len(NAMES))
    places = [[1, 2, 3, 5], [1, 3]]
    alone = [
        tagger.crf.log_likelihood(
            output.logits[row, words][None], TAGS[row, words][None], torch.ones(1, len(words), dtype=torch.bool)
        )
        for row, words in enumerate(places)
    ]
    torch.testing.assert_close(output.loss, -torch.cat(alone).sum() / 6)


def test_padding_and_order_of_rows_change_nothing(tagger: Any) -> None:
    """A row has the same scores alone, without its padding, as in the batch."""
    together = tagger(input_ids=IDS, attention_mask=MASK).logits
    alone = tagger(input_ids=IDS[1:, :5], attention_mask=MASK[1:, :5]).logits
    torch.testing.assert_close(alone[0], together[1, :5], rtol=1e-4, atol=1e-5)


def test_every_weight_gets_a_gradient(tagger: Any) -> None:
    """Body, classifier and field learn; a row without labels spoils nothing."""
    tagger(input_ids=IDS, attention_mask=MASK, labels=TAGS).loss.backward()
    moving = {name: weight for name, weight in tagger.named_parameters() if weight.requires_grad}
    still = [name for name, weight in moving.items() if weight.grad is None or not weight.grad.any()]
    assert still == []
    nothing = tagger(input_ids=IDS, attention_mask=MASK, labels=torch.full_like(TAGS, -100)).loss
    assert nothing.item() == 0


def test_accumulated_gradients_are_those_of_the_whole_batch(tagger: Any) -> None:
    """Two batches of one row, told how many labels there are together, have the gradient of a batch of both."""
    tagger(input_ids=IDS, attention_mask=MASK, labels=TAGS).loss.backward()
    moving = [weight for weight in tagger.parameters() if weight.requires_grad]
    whole = [weight.grad.clone() for weight in moving]
    tagger.zero_grad()
    for row in range(2):
        one = {"input_ids": IDS[row][None], "attention_mask": MASK[row][None], "labels": TAGS[row][None]}
        tagger(**one, num_items_in_batch=torch.tensor(6)).loss.backward()
    for expected, weight in zip(whole, moving, strict=True):
        torch.testing.assert_close(weight.grad, expected, rtol=1e-4, atol=1e-6)


def test_a_saved_tagger_is_loaded_again(tagger: Any, tmp_path: Path) -> None:
    """Only safetensors and a config are written; from them come equal scores, loss and tags, and no weight is new."""
    tagger.save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "model.safetensors"}
    again, report = AutoCrfTagger.from_pretrained(str(tmp_path), output_loading_info=True)
    assert not {name for keys in report.values() for name in keys}
    assert type(again) is type(tagger)
    assert not again.training
    ours, theirs = (model(input_ids=IDS, attention_mask=MASK, labels=TAGS) for model in (tagger, again))
    assert torch.equal(ours.logits, theirs.logits)
    assert torch.equal(ours.loss, theirs.loss)
    assert tagger.crf.decode(ours.logits, TAGS >= 0) == again.crf.decode(theirs.logits, TAGS >= 0)
    assert again.crf.allowed == LinearChainCrf.for_bio(NAMES).allowed


def test_config_names_the_architecture(tagger: Any, tmp_path: Path) -> None:
    """The config says which class with a field it is, which body, and which tags."""
    tagger.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == [f"Crf{type(tagger).__mro__[2].__name__}"]
    assert config["model_type"] == tagger.config.model_type
    assert list(config["id2label"].values()) == list(NAMES)


def test_the_body_keeps_its_names(tagger: Any, tmp_path: Path) -> None:
    """A tagger is the token classifier of transformers with three more weights, and loads as one."""
    tagger.save_pretrained(tmp_path)
    plain, report = AutoModelForTokenClassification.from_pretrained(tmp_path, output_loading_info=True)
    field = {"crf.first", "crf.last", "crf.transitions"}
    assert set(report["unexpected_keys"]) == field
    assert not report["missing_keys"]
    assert set(tagger.state_dict()) == set(plain.state_dict()) | field
    assert torch.equal(plain.eval()(input_ids=IDS).logits, tagger(input_ids=IDS).logits)


def test_a_body_gets_a_new_head_and_a_field_without_garbage(tmp_path: Path) -> None:
    """Of a checkpoint without a head the classifier and the field are new; the field starts from 0, all tags alike."""
    BertForMaskedLM(BertConfig(**SHAPE)).save_pretrained(tmp_path)
    model, report = AutoCrfTagger.from_pretrained(
        str(tmp_path), output_loading_info=True, num_labels=len(NAMES), **LABELS
    )
    new = {"classifier.weight", "classifier.bias", "crf.first", "crf.last", "crf.transitions"}
    assert set(report["missing_keys"]) == new
    assert not any(weight.any() for weight in model.crf.parameters())
    assert model.crf.allowed == LinearChainCrf.for_bio(NAMES).allowed


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from([0.1, 10.0, 1e4]))
def test_tags_are_never_ill_formed(seed: int, size: float) -> None:
    """Whatever a tagger's random weights and scores: no I- goes on with nothing."""
    generator = torch.Generator().manual_seed(seed)
    field = LinearChainCrf.for_bio(NAMES)
    with torch.no_grad():
        field.transitions.copy_(size * torch.randn(field.transitions.shape, generator=generator))
        field.first.copy_(size * torch.randn(field.first.shape, generator=generator))
    scores = size * torch.randn(3, 12, len(NAMES), generator=generator)
    mask = torch.rand(3, 12, generator=generator) < 0.7
    for ids in field.decode(scores, mask):
        assert find_break([NAMES[index] for index in ids]) is None


def test_low_rank_adapters_fit(tmp_path: Path) -> None:
    """LoRA finds the body's layers by their names, trains the field with its head, and reloads to the same tags."""
    make_tagger().save_pretrained(tmp_path / "base")

    def load() -> PreTrainedModel:
        return AutoCrfTagger.from_pretrained(str(tmp_path / "base"))

    settings_ = peft.LoraConfig(task_type="TOKEN_CLS", r=2, modules_to_save=["classifier", "crf"])
    model = peft.get_peft_model(load(), settings_)
    moving = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert any("attention.self.query.lora_A" in name for name in moving)
    assert any("crf" in name and "transitions" in name for name in moving)
    optimizer = torch.optim.SGD([weight for weight in model.parameters() if weight.requires_grad], lr=1.0)
    before = model(input_ids=IDS, attention_mask=MASK, labels=TAGS).loss
    before.backward()
    optimizer.step()
    model.eval()
    after = model(input_ids=IDS, attention_mask=MASK, labels=TAGS)
    assert after.loss < before
    assert model.crf.transitions.any()
    model.save_pretrained(tmp_path / "adapter")
    again = peft.PeftModel.from_pretrained(load(), str(tmp_path / "adapter")).eval()
    reloaded = again(input_ids=IDS, attention_mask=MASK, labels=TAGS)
    assert torch.equal(reloaded.loss, after.loss)
    assert again.crf.decode(reloaded.logits, TAGS >= 0) == model.crf.decode(after.logits, TAGS >= 0)


def test_a_model_without_a_token_classifier_is_named() -> None:
    """A speech model cannot tag words, and that is said."""
    with pytest.raises(ModelError, match='no token classifier for models of the type "vits"'):
        AutoCrfTagger.from_config(VitsConfig())


def test_any_token_classifier_will_do() -> None:
    """What transformers can make a token classifier of can have a field, an encoder-decoder's encoder too."""
    config = T5Config(vocab_size=40, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2, **LABELS)
    model = make_tagger(config)
    assert isinstance(model, CrfTagger)
    assert model(input_ids=IDS, attention_mask=MASK, labels=TAGS).loss.isfinite()
