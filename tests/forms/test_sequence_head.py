"""A label a text on an encoder: names through the model's config, padding without effect, weights as scikit-learn's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertTokenizerFast,
    ModernBertConfig,
    ModernBertModel,
    PreTrainedTokenizerBase,
    RobertaConfig,
    RobertaModel,
    RoFormerConfig,
    RoFormerModel,
)

from harness import load_experiment, run
from harness.config import Experiment
from harness.data.newsroom import MOOD_NAMES, TOPICS, draw_event, write_document
from harness.data.rows import Row
from harness.defects.reference.tokenizers import encoder_tokenizer
from harness.errors import DataError, LabelError, ModelError
from harness.forms.sequence_head import SequenceHead, balance_classes
from harness.models.loading import LoadedModel
from harness.models.positions import count_positions
from harness.tasks.classification import CLASSIFICATION
from harness.tasks.task import Batch, Features, flatten

LABELS = ("cats", "dogs", "fish")
ROWS = [
    Row(id=str(n), input=write_document(draw_event(1, n)).text[: 9 + 70 * n % 130], target=LABELS[n % 3])
    for n in range(9)
]
"""Texts of very different length."""
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(str.strip)


def save_encoder(folder: Path, tokenizer: PreTrainedTokenizerBase, *, seed: int = 0, width: int = 16) -> Path:
    """A random BERT of one layer and 64 positions, without a head for labels."""
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=2 * width,
        max_position_embeddings=64,
        initializer_range=0.3,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        BertForMaskedLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny encoder."""
    return save_encoder(tmp_path_factory.mktemp("encoder") / "bert", encoder_tokenizer())


def make_form(folder: Path, **changes: object) -> SequenceHead:
    """Classification with the model of a folder that reads 64 tokens."""
    settings = {"model.name": str(folder), "encoding.max_input_tokens": 64, **changes}
    experiment = load_experiment("classification-full").override(settings)
    return SequenceHead(task=CLASSIFICATION, experiment=experiment)


@pytest.fixture(scope="module")
def loaded(encoder: Path) -> LoadedModel:
    """The encoder with a head for `LABELS`; no test may change it."""
    return make_form(encoder).load(ROWS)


def test_names_and_ids_are_stored_together(encoder: Path, loaded: LoadedModel) -> None:
    """Config, head and data have the same names; only the head's weights and the pooler's are new."""
    config = loaded.model.config
    assert config.id2label == dict(enumerate(LABELS))
    assert config.label2id == {name: index for index, name in enumerate(LABELS)}
    encoded = make_form(encoder).encode(ROWS, loaded)
    assert [config.id2label[row.features[0]["labels"]] for row in encoded] == [row.target for row in ROWS]
    assert loaded.fresh == 16 * 16 + 16 + 3 * 16 + 3


def test_head_of_a_checkpoint_is_kept(encoder: Path, loaded: LoadedModel, tmp_path: Path) -> None:
    """A checkpoint with these very labels keeps head and order, and says the same; with others it gets a new head."""
    names = dict(enumerate(reversed(LABELS)))
    tuned = make_form(encoder, **{"head.seed": 5}).load(ROWS).model
    tuned.config.id2label, tuned.config.label2id = names, {name: index for index, name in names.items()}
    tuned.save_pretrained(tmp_path)
    loaded.tokenizer.save_pretrained(tmp_path)
    form = make_form(tmp_path)
    again = form.load(ROWS)
    assert again.fresh == 0
    assert again.model.config.id2label == names
    encoded = form.encode(ROWS, again)
    assert [names[row.features[0]["labels"]] for row in encoded] == [row.target for row in ROWS]
    form.audit(ROWS, encoded, again, form.make_collator(again))
    assert predict(form, again) == predict(form, loaded.with_weights_of(tuned))
    other = form.load([*ROWS, Row(id="more", input="t", target="mice")])
    assert other.fresh > 0
    assert len(other.model.config.id2label) == 4


def test_head_is_drawn_by_its_seed(encoder: Path) -> None:
    """The same seed gives the same model, another seed another head."""
    one, again, other = (make_form(encoder, **{"head.seed": seed}).load(ROWS).identify().weights for seed in (0, 0, 1))
    assert one == again != other


def predict(form: SequenceHead, loaded: LoadedModel, rows: list[Row] = ROWS) -> list[str]:
    return [output.text for output in form.predict(loaded, rows, form.encode(rows, loaded), form.resolve(loaded))]


@pytest.mark.parametrize("side", ["left", "right"])
def test_batches_change_no_output(side: str, tmp_path: Path, loaded: LoadedModel) -> None:
    """Each row alone, in small batches and in one says the same, whichever side the tokenizer pads by itself."""
    folder = save_encoder(tmp_path / "bert", loaded.tokenizer)
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "padding_side": side}), encoding="utf-8")
    form = make_form(folder)
    one = form.load(ROWS)
    with torch.no_grad():
        one.model.classifier.weight.mul_(1000)  # a new head says the same of everything
    together = predict(form, one)
    assert len(set(together)) > 1
    assert together == predict(make_form(folder, **{"generation.batch_size": 2}), one)
    assert together == [label for row in ROWS for label in predict(form, one, [row])]
    batch = form.make_collator(one)(flatten(form.encode(ROWS, one)))
    del batch["labels"]
    with torch.no_grad():
        alone = [one.model(torch.tensor([row.input_ids])).logits for row in form.encode(ROWS, one)]
        assert torch.allclose(one.model(**batch).logits, torch.cat(alone), atol=1e-5)


def test_model_comes_back_as_it_was(encoder: Path, loaded: LoadedModel) -> None:
    """Predicting changes no weight."""
    before = loaded.identify()
    predict(make_form(encoder), loaded)
    assert loaded.identify() == before


@given(st.lists(st.integers(0, 4), min_size=1, max_size=50))
def test_weights_are_those_of_scikit_learn(labels: list[int]) -> None:
    """Balanced weights equal scikit-learn's for classes that occur, and are 0 for the others."""
    weights = balance_classes(labels, 5).numpy()
    present = np.unique(labels)
    expected = compute_class_weight("balanced", classes=present, y=labels)
    assert weights[present] == pytest.approx(expected)
    assert weights.sum() == pytest.approx(expected.sum())
    assert np.mean(weights[labels]) == pytest.approx(1)


@pytest.mark.parametrize("weighted", [False, True])
def test_loss_is_cross_entropy_by_hand(weighted: bool, encoder: Path, loaded: LoadedModel) -> None:  # noqa: FBT001
    """The loss is the mean over rows of weight times -log softmax; without weights it is the model's own."""
    form = make_form(encoder, **{"head.class_weights": "balanced" if weighted else "none"})
    rows = [ROWS[0], ROWS[3], ROWS[1], ROWS[6]]
    encoded = form.encode(rows, loaded)
    batch = form.make_collator(loaded)(flatten(encoded))
    with torch.no_grad():
        output = loaded.model(**batch)
        loss = form.make_loss(loaded, encoded)(output, batch["labels"], None)
    chances = output.logits.double().softmax(1)[range(4), batch["labels"]]
    weights = torch.tensor([4 / (2 * 3), 4 / (2 * 3), 4 / 2, 4 / (2 * 3)] if weighted else [1.0] * 4)
    assert loss.item() == pytest.approx((weights * -chances.log()).mean().item(), rel=1e-5)
    assert (loss.item() == pytest.approx(output.loss.item())) is not weighted
    in_steps = form.make_loss(loaded, encoded)(output, batch["labels"], torch.tensor(8))
    assert in_steps.item() == pytest.approx(loss.item() / 2)


@given(
    st.lists(TEXTS | st.sampled_from(["[SEP]", "a [SEP] b [CLS]", "[PAD]"]), min_size=1, max_size=4), st.integers(3, 9)
)
def test_cut_texts_keep_their_closing_token(encoder: Path, loaded: LoadedModel, texts: list[str], limit: int) -> None:
    """A text has one [CLS] and one [SEP], at its ends, whatever it says and wherever it is cut."""
    tokenizer = loaded.tokenizer
    rows = [Row(id=str(n), input=text, target="cats") for n, text in enumerate(texts) if tokenizer.tokenize(text)]
    if not rows:
        return
    for row, encoded in zip(
        rows, make_form(encoder, **{"encoding.max_input_tokens": limit}).encode(rows, loaded), strict=True
    ):
        whole = tokenizer.tokenize(row.input, split_special_tokens=True)
        assert encoded.input_ids[0] == tokenizer.cls_token_id
        assert encoded.input_ids[-1] == tokenizer.sep_token_id
        kept = tokenizer.convert_ids_to_tokens(encoded.input_ids[1:-1])
        assert kept == whole[: limit - 2]
        assert encoded.input_cut == (len(whole) + 2 > limit)


def test_nothing_to_read(encoder: Path, loaded: LoadedModel) -> None:
    """Rows of which no token is left are named; a text of unknown signs has something to read."""
    rows = [ROWS[0], Row(id="blank", input="\u200b", target="cats")]
    with pytest.raises(DataError, match=r"1 of 2 rows have nothing to read.*: rows blank"):
        make_form(encoder).encode(rows, loaded)
    with pytest.raises(DataError, match=r"2 of 2 rows .*max_input_tokens = 2\)"):
        make_form(encoder, **{"encoding.max_input_tokens": 2}).encode(ROWS[:2], loaded)
    make_form(encoder).encode([Row(id="0", input="漢", target="cats")], loaded)


def test_unknown_label(encoder: Path, loaded: LoadedModel) -> None:
    """A row with a label that the model has not is named, with the labels that it has."""
    rows = [ROWS[0], Row(id="odd", input="t", target="mice")]
    with pytest.raises(DataError, match=r'1 of 2 rows .* row id odd "mice"\. Known are: cats, dogs, fish\.'):
        make_form(encoder).encode(rows, loaded)


def test_more_tokens_than_positions(encoder: Path, loaded: LoadedModel) -> None:
    """A row that is longer than the model can read is an error that says what it can; cut to that, it is read."""
    rows = [Row(id="0", input="word " * 90, target="cats")]
    with pytest.raises(ModelError, match=r"has \d+ tokens.*at most 64.*encoding.max_input_tokens = 64"):
        make_form(encoder, **{"encoding.max_input_tokens": 512}).encode(rows, loaded)
    assert predict(make_form(encoder), loaded, rows)


def test_positions_of_other_encoders() -> None:
    """RoBERTa begins to count behind its padding index, RoFormer has a table of rotations, ModernBERT computes."""
    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    shape |= {"vocab_size": 20, "max_position_embeddings": 40}
    assert count_positions(RobertaModel(RobertaConfig(**shape))) == 40 - 2
    assert count_positions(RoFormerModel(RoFormerConfig(**shape))) == 40
    ends = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"), 0)
    assert count_positions(ModernBertModel(ModernBertConfig(**shape, **ends))) is None


def test_audit_says_what_it_found(encoder: Path, loaded: LoadedModel) -> None:
    """The audit covers every row through the collator that trains."""
    form = make_form(encoder, **{"encoding.max_input_tokens": 6})
    report = form.audit(ROWS, form.encode(ROWS, loaded), loaded, form.make_collator(loaded))
    assert report.summary == "9 labels of 3 classes; names and ids agree with the model's config"
    assert (report.rows, report.supervised_tokens, report.masked_tokens) == (9, 9, 0)
    whole = [len(loaded.tokenizer(row.input)["input_ids"]) for row in ROWS]
    assert report.inputs_cut == sum(length > 6 for length in whole) > 0


def other_order(features: list[Features]) -> list[Features]:
    return [{**one, "labels": (one["labels"] + 1) % 3} for one in features]


def pad_seen(batch: Batch) -> None:
    batch["attention_mask"].fill_(1)


@pytest.mark.parametrize("part", ["ids", "mask", "config"])
def test_audit_goes_red(part: str, encoder: Path) -> None:
    """Ids of another order, a mask over padding, and a config whose tables disagree are caught before training."""
    form = make_form(encoder)
    loaded = form.load(ROWS)
    encoded, collator = form.encode(ROWS, loaded), form.make_collator(loaded)

    def broken(features: list[Features]) -> Batch:
        batch = collator(other_order(features) if part == "ids" else features)
        if part == "mask":
            pad_seen(batch)
        return batch

    if part == "config":
        loaded.model.config.label2id = {name: 2 - index for index, name in enumerate(LABELS)}
    with pytest.raises(LabelError):
        form.audit(ROWS, encoded, loaded, broken)


def learn(folder: Path, **changes: object) -> Experiment:
    settings: dict[str, object] = {
        "model.name": str(folder),
        "training.learning_rate": 1e-2,
        "gate.flips": 1000,
        "gate.require": ["tuned must beat base on accuracy"],
        **changes,
    }
    return load_experiment("classification-full").override(settings)


def test_run_from_rows_to_verdict(encoder: Path, tmp_path: Path) -> None:
    """Texts that one word gives away are learned: outputs are labels' names, and the tuned model beats its base."""
    lines = [{"text": f"number {n} {LABELS[n % 3]} here", "label": LABELS[n % 3]} for n in range(90)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    rows = {"data.source": str(path), "data.train_rows": 45, "data.eval_rows": 45, "encoding.max_input_tokens": 64}
    said: list[str] = []
    done = run(learn(encoder, **rows), baselines=tmp_path, say=said.append)
    assert done.verdict.passed
    assert {row.output for row in done.tuned.rows} == set(LABELS)
    assert done.tuned.manifest.scores["accuracy"] > 90
    assert done.tuned.manifest.generation == {"decoder": "argmax"}
    assert done.tuned.manifest.encoding == {"max_input_tokens": 64}
    assert "labels: 45 labels of 3 classes; names and ids agree with the model's config" in said
    assert any("of a new head" in line for line in said)
    assert done.tables["tuned"][0].columns == ("target", *LABELS, "no label")


def test_run_on_newsroom_rows(encoder: Path, tmp_path: Path) -> None:
    """The embedded tasks go from events to a verdict; the moods stand by rank, the topics by the alphabet."""
    rows = {"data.train_rows": 16, "data.eval_rows": 16, "training.epochs": 1, "encoding.max_input_tokens": 16}
    for task, order in (("classification", sorted(TOPICS)), ("sentiment", MOOD_NAMES.values())):
        done = run(learn(encoder, task=task, **rows), baselines=tmp_path)
        (matrix,) = done.tables["tuned"]
        assert [label for label in order if label in matrix.columns] == list(matrix.columns[1:-1])
        assert done.labels.inputs_cut > 0


def test_run_on_real_rows(shared_data: Path, tmp_path: Path) -> None:
    """BANKING77 with the real BERT tokenizer: 77 classes, each of which trains, and an honest verdict."""
    tokenizer = BertTokenizerFast(str(shared_data / "tokenizers" / "bert-base-uncased" / "vocab.txt"))
    folder = save_encoder(tmp_path / "bert", tokenizer, width=8)
    rows = {"data.source": str(shared_data / "banking77" / "test.csv"), "encoding.max_input_tokens": 32}
    experiment = learn(
        folder, **rows, **{"training.epochs": 1, "training.batch_size": 32, "head.class_weights": "balanced"}
    )
    done = run(experiment, baselines=tmp_path)
    assert {row.target for row in done.splits.eval} <= {row.target for row in done.splits.train}
    assert done.labels.summary.startswith("240 labels of 77 classes")
    assert {row.output for row in done.tuned.rows} <= {row.target for row in done.splits.train}


def test_the_label_reader_takes_the_settings(encoder: Path) -> None:
    """Labels that the settings name have ids in that order, also where no training row has them."""
    names = ["fish", "mice", "dogs", "cats"]
    loaded = make_form(encoder, **{"data.scale": names}).load(ROWS)
    assert list(loaded.model.config.id2label.values()) == names
