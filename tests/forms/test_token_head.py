"""The token head: labels at first pieces, one tag a word, the audit, and training that shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerBase

from harness.config import DataSettings, Experiment
from harness.data.bio import find_break
from harness.data.files import read_path
from harness.data.newsroom import draw_event
from harness.data.rows import Row
from harness.defects.reference.tokenizers import encoder_tokenizer, real_tokenizer
from harness.errors import DataError, LabelError, ModelError, SettingsError
from harness.experiment import run
from harness.forms import choose_form
from harness.forms.token_head import TokenHead, choose_best, name_tags
from harness.models.loading import LoadedModel
from harness.tasks.ner import NER
from harness.tasks.tag_labels import check_tags
from harness.tasks.task import IGNORE_INDEX, Batch

KINDS = ("LOC", "PER")
NAMES = ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]
WORD = st.text(st.characters(exclude_categories=["Cs", "Z", "Cc"]), min_size=1, max_size=12) | st.sampled_from(
    ["[SEP]", "\u200b", "\ufe0f", "🙂", "Ünal", "J.P.", "Antananarivo"]
)
SMALL = {"model.name": "", "head.decoder": "crf", "generation.batch_size": 3, "training.batch_size": 3}


@st.composite
def tagged(draw: st.DrawFn, number: int = 0) -> Row:
    """A row of words with legal tags, of which at least one leaves a piece."""
    words = draw(st.lists(WORD.filter(lambda word: word.split() == [word]), max_size=7))
    tags: list[str] = []
    for _ in [*words, "word"]:
        before = tags[-1] if tags else "O"
        tags.append(draw(st.sampled_from(["O", "B-LOC", "B-PER", *[f"I{before[1:]}"] * (before != "O")])))
    return Row(id=str(number), input=" ".join([*words, "word"]), target=" ".join(tags))


ROWS = st.integers(1, 4).flatmap(lambda count: st.tuples(*(tagged(number) for number in range(count))))


def write_checkpoint(folder: Path, tokenizer: PreTrainedTokenizerBase, **shape: Any) -> str:
    """A small BERT without a head, of random weights wide enough to learn in a few steps."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=64, num_hidden_layers=1, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=256, pad_token_id=tokenizer.pad_token_id, initializer_range=0.1,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, **shape,
    )  # fmt: skip
    BertForMaskedLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A checkpoint with the small tokenizer of the reference pipelines."""
    return write_checkpoint(tmp_path_factory.mktemp("bert"), encoder_tokenizer())


def make_form(name: str, **changes: object) -> TokenHead:
    experiment = Experiment(name="tags", task="ner").override(
        {**SMALL, "model.name": name, "encoding.max_input_tokens": 128, **changes}
    )
    return TokenHead(task=NER, experiment=experiment)


KNOWN = [Row(id="0", input="a b c d", target="B-LOC I-LOC B-PER I-PER")]


@pytest.fixture(scope="module")
def loaded(checkpoint: str) -> LoadedModel:
    """The checkpoint with a head for two types; no test may change it."""
    made = make_form(checkpoint).load(KNOWN)
    with torch.no_grad():
        made.model.crf.transitions.normal_(generator=torch.Generator().manual_seed(0))
    return made


@given(rows=ROWS)
def test_first_pieces_have_the_tags(checkpoint: str, loaded: LoadedModel, rows: tuple[Row, ...]) -> None:
    """Whatever the words: each that leaves a piece has its tag there, nothing else a label, and the audit agrees."""
    form = make_form(checkpoint)
    encoded = form.encode(rows, loaded)
    for row, made in zip(rows, encoded, strict=True):
        names = [name_tags(loaded)[label] for label in made.labels if label != IGNORE_INDEX]
        assert names == [row.target.split()[word] for word in made.words]
        lost = set(range(len(row.input.split(" ")))) - set(made.words)
        pieces = loaded.tokenizer.tokenize
        assert all(not pieces(row.input.split(" ")[word], split_special_tokens=True) for word in lost)
        assert made.labels[0] == made.labels[-1] == IGNORE_INDEX
    report = form.audit(rows, encoded, loaded, form.make_collator(loaded))
    assert report.supervised_tokens == sum(len(row.words) for row in encoded)
    assert report.rows == len(rows)


@given(rows=ROWS)
def test_one_legal_tag_a_word_alone_and_in_a_batch(checkpoint: str, loaded: LoadedModel, rows: tuple[Row, ...]) -> None:
    """The outputs have a tag a word, are legal, and are the same however the rows are put into batches."""
    form = make_form(checkpoint)
    encoded = form.encode(rows, loaded)
    outputs = [output.text for output in form.predict(loaded, rows, encoded, form.resolve(loaded))]
    for row, made, text in zip(rows, encoded, outputs, strict=True):
        tags = text.split(" ")
        assert len(tags) == len(row.input.split(" "))
        assert find_break([tags[word] for word in made.words]) is None
        assert all(tag == "O" for word, tag in enumerate(tags) if word not in made.words)
        (alone,) = form.predict(loaded, [row], [made], form.resolve(loaded))
        assert alone.text == text


def test_output_is_the_best_sequence_of_the_model(checkpoint: str, loaded: LoadedModel) -> None:
    """The tags are those that the field decodes from the scores at the words' first pieces, computed by hand."""
    row = Row(id="0", input="Ünal met Antananarivo", target="B-PER O B-LOC")
    form = make_form(checkpoint)
    (output,) = form.predict(loaded, [row], form.encode([row], loaded), form.resolve(loaded))
    batch = loaded.tokenizer([row.input.split()], is_split_into_words=True, return_tensors="pt")
    places = [batch.word_ids(0).index(word) for word in range(3)]
    with torch.no_grad():
        scores = loaded.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, places]
    (ids,) = loaded.model.crf.decode(scores, torch.ones(1, 3, dtype=torch.bool))
    assert output.text == " ".join(NAMES[index] for index in ids)


def test_words_behind_the_limit_are_outside(checkpoint: str, loaded: LoadedModel) -> None:
    """What is cut off has no label, counts as cut, and is O in the output; what is left is audited as ever."""
    form = make_form(checkpoint, **{"encoding.max_input_tokens": 6})
    row = Row(id="0", input="a b c d e f", target="B-LOC I-LOC B-PER I-PER B-LOC I-LOC")
    (encoded,) = form.encode([row], loaded)
    assert (encoded.input_cut, encoded.words, len(encoded.input_ids)) == (True, (0, 1, 2, 3), 6)
    report = form.audit([row], [encoded], loaded, form.make_collator(loaded))
    assert (report.inputs_cut, report.supervised_tokens) == (1, 4)
    assert report.summary.endswith("2 words have no piece")
    (output,) = form.predict(loaded, [row], [encoded], form.resolve(loaded))
    assert output.text.split()[4:] == ["O", "O"]


@pytest.mark.parametrize("name", ["bert-base-cased", "bert-base-uncased", "t5"])
def test_real_rows_through_real_tokenizers(shared_data: Path, tmp_path: Path, name: str) -> None:
    """Sentences of WNUT-17 pass the audit with real vocabularies, and no word is lost but for want of a piece."""
    tokenizer = real_tokenizer(shared_data / "tokenizers" / name)
    path = shared_data / "wnut17" / "wnut17train_1000.conll"
    rows = list(read_path(path, DataSettings(), NER, split="train"))[:100]
    form = make_form(write_checkpoint(tmp_path, tokenizer))
    made = form.load(rows)
    encoded = form.encode(rows, made)
    report = form.audit(rows, encoded, made, form.make_collator(made))
    assert report.supervised_tokens >= 0.999 * sum(len(row.input.split(" ")) for row in rows)
    assert "types corporation, " in report.summary


def shifted(batch: Batch) -> None:
    batch["labels"] = batch["labels"].roll(1, 1)


def every_piece(batch: Batch) -> None:
    batch["labels"][0, 2] = batch["labels"][0, 1]


def last_piece(batch: Batch) -> None:
    batch["labels"][0, 2], batch["labels"][0, 1] = batch["labels"][0, 1].item(), IGNORE_INDEX


def special_tokens_labelled(batch: Batch) -> None:
    batch["labels"][:, 0] = 0


def padding_as_class_zero(batch: Batch) -> None:
    batch["labels"][batch["attention_mask"] == 0] = 0


def word_masked(batch: Batch) -> None:
    batch["labels"][0, 1] = IGNORE_INDEX


def ids_in_another_order(batch: Batch) -> None:
    order = torch.tensor([4, 0, 1, 2, 3])
    labels = batch["labels"]
    batch["labels"] = torch.where(labels == IGNORE_INDEX, labels, order[labels.clamp(min=0)])


def tags_of_another_row(batch: Batch) -> None:
    batch["labels"] = batch["labels"].flip(0)


def id_beyond_the_tags(batch: Batch) -> None:
    batch["labels"][0, 1] = 5


def mask_of_ones(batch: Batch) -> None:
    batch["attention_mask"][:] = 1


def mask_too_short(batch: Batch) -> None:
    batch["attention_mask"][:, 2:] = 0


def words_of_another_row(batch: Batch) -> None:
    batch["input_ids"] = batch["input_ids"].flip(0)


def pieces_swapped(batch: Batch) -> None:
    batch["input_ids"][0, [1, 2]] = batch["input_ids"][0, [2, 1]]


BUGS: list[Callable[[Batch], None]] = [
    shifted, every_piece, last_piece, special_tokens_labelled, padding_as_class_zero, word_masked,
    ids_in_another_order, tags_of_another_row, id_beyond_the_tags, mask_of_ones, mask_too_short, words_of_another_row,
    pieces_swapped,
]  # fmt: skip


@pytest.mark.parametrize("bug", BUGS)
def test_planted_bug_is_found(checkpoint: str, loaded: LoadedModel, bug: Callable[[Batch], None]) -> None:
    """Each way to spoil a batch turns the audit red, and the same batch unspoilt is green."""
    form = make_form(checkpoint)
    rows = [
        Row(id="first", input="Antananarivo is far", target="B-LOC O O"),
        Row(id="second", input="Ünal of Antananarivo met J.P. there", target="B-PER O B-LOC O B-PER O"),
    ]
    collator = form.make_collator(loaded)
    batch = collator([dict(row.features[0]) for row in form.encode(rows, loaded)])
    check_tags(batch, rows, NAMES, loaded.tokenizer)
    bug(batch)
    with pytest.raises(LabelError, match='Row "first"'):
        check_tags(batch, rows, NAMES, loaded.tokenizer)


def test_audit_goes_red_when_the_collator_spoils_labels(checkpoint: str, loaded: LoadedModel) -> None:
    """A collator that pads labels with class 0 is caught before training, with the place and both labels."""
    form = make_form(checkpoint)
    rows = [Row(id="0", input="a", target="O"), Row(id="1", input="a b c", target="O B-LOC O")]
    collator = form.make_collator(loaded)

    def careless(features: list[dict[str, Any]]) -> Batch:
        batch = collator(features)
        padding_as_class_zero(batch)
        return batch

    with pytest.raises(LabelError, match=r'Row "0": 2 of 5 labels are wrong, first at piece 3: 0 \(O\); meant is -100'):
        form.audit(rows, form.encode(rows, loaded), loaded, careless)


def test_an_unknown_tag_is_named(checkpoint: str, loaded: LoadedModel) -> None:
    """A type that no training row has is an error that names the row, the tag and what is known."""
    row = Row(id="17", input="a b", target="O B-ORG")
    with pytest.raises(DataError, match='Row "17" has the tag B-ORG; the model knows O, B-LOC, I-LOC, B-PER, I-PER'):
        make_form(checkpoint).encode([row], loaded)


def test_a_row_without_pieces_is_named(checkpoint: str, loaded: LoadedModel) -> None:
    """A row of which no word leaves a piece is an error, whether the tokenizer or the limit takes them."""
    row = Row(id="17", input="\u200b", target="O")
    with pytest.raises(DataError, match=r'1 of 1 rows have nothing to read.*first "17"'):
        make_form(checkpoint).encode([row], loaded)
    with pytest.raises(DataError, match=r"raise encoding.max_input_tokens \(2\)"):
        make_form(checkpoint, **{"encoding.max_input_tokens": 2}).encode(KNOWN, loaded)


def test_more_tokens_than_the_model_has_places_for(checkpoint: str) -> None:
    """A limit beyond the model's positions is an error with both numbers, before anything is encoded."""
    with pytest.raises(SettingsError, match=r"max_input_tokens is 257, and .* reads 256 tokens"):
        make_form(checkpoint, **{"encoding.max_input_tokens": 257}).load(KNOWN)


def test_a_head_with_these_tags_is_kept(checkpoint: str, loaded: LoadedModel, tmp_path: Path) -> None:
    """A saved tagger is loaded with its own head; rows with other types get a new one."""
    loaded.model.save_pretrained(tmp_path)
    loaded.tokenizer.save_pretrained(tmp_path)
    again = make_form(str(tmp_path)).load(KNOWN)
    assert (again.fresh, again.identify().weights) == (0, loaded.identify().weights)
    other = make_form(str(tmp_path)).load([Row(id="0", input="a", target="B-ORG")])
    assert other.fresh == 3 * 64 + 3 + 3 * 3 + 3 + 3
    assert name_tags(other) == ["O", "B-ORG", "I-ORG"]


def test_the_head_is_drawn_by_its_seed(checkpoint: str) -> None:
    """The same seed gives the same base in every process; another seed another."""
    one, same, other = (
        make_form(checkpoint, **{"head.seed": seed}).load(KNOWN).identify().weights for seed in (0, 0, 1)
    )
    assert one == same != other


def test_softmax_gives_each_words_best_tag_as_it_is(checkpoint: str) -> None:
    """Without a field the best tag of each word is the output, ill-formed or not, and settings say argmax."""
    form = make_form(checkpoint, **{"head.decoder": "softmax"})
    plain = form.load(KNOWN)
    assert not hasattr(plain.model, "crf")
    assert form.resolve(plain) == {"decoder": "argmax"}
    with torch.no_grad():
        plain.model.classifier.weight.zero_()
        plain.model.classifier.bias.copy_(torch.eye(5)[2])
    (output,) = form.predict(plain, KNOWN, form.encode(KNOWN, plain), form.resolve(plain))
    assert output.text == "I-LOC I-LOC I-LOC I-LOC"


def test_the_best_tag_at_each_selected_place() -> None:
    """Scores by hand: the largest wins where the mask is true, and other places are left out."""
    logits = torch.tensor([[[0.0, 2.0], [9.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 0.0], [0.0, 0.0]]])
    mask = torch.tensor([[True, False, True], [False, False, False]])
    assert choose_best(logits, mask) == [[1, 0], []]


def test_a_speech_model_cannot_tag(checkpoint: str, tmp_path: Path) -> None:
    """A model that has no token classifier is refused as a user's error."""
    from transformers import CLIPTextConfig, CLIPTextModel  # noqa: PLC0415 - for this test alone

    tokenizer = encoder_tokenizer()
    shape = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    CLIPTextModel(CLIPTextConfig(vocab_size=len(tokenizer), **shape)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="no token classifier"):
        make_form(str(tmp_path)).load(KNOWN)


@pytest.mark.parametrize("decoder", ["crf", "softmax"])
def test_a_run_learns(checkpoint: str, tmp_path: Path, decoder: str) -> None:
    """From rows to verdict on newsroom documents, with a field and with a softmax: F1 rises from about nothing."""
    experiment = Experiment(name="tags", task="ner").override(
        {
            "model.name": checkpoint, "head.decoder": decoder, "encoding.max_input_tokens": 256, "data.train_rows": 48,
            "data.eval_rows": 16, "training.epochs": 8, "training.learning_rate": 5e-3, "gate.flips": 1000,
        }
    )  # fmt: skip
    assert isinstance(choose_form(experiment), TokenHead)
    done = run(experiment, baselines=tmp_path)
    assert done.base.manifest.scores["entity_f1"] < 10
    assert done.tuned.manifest.scores["entity_f1"] > 30
    assert done.verdict.exit_code == 0
    assert done.base.manifest.generation == {"decoder": {"crf": "viterbi", "softmax": "argmax"}[decoder]}
    assert done.base.manifest.encoding == {"max_input_tokens": 256}
    legal = [find_break(row.output.split()) is None for row in (*done.base.rows, *done.tuned.rows)]
    assert all(legal) is (decoder == "crf")
    assert draw_event(42, 0).key == done.splits.train[0].id
    assert "entities of the types DATE, LOC, NUM, ORG, PER" in done.labels.summary


def test_a_run_on_the_shared_task(checkpoint: str, tmp_path: Path, shared_data: Path) -> None:
    """Real sentences go the whole way in seconds, from columns to a verdict."""
    experiment = Experiment(name="wnut", task="ner").override(
        {
            "data.source": str(shared_data / "wnut17" / "wnut17train_1000.conll"),
            "data.eval_source": str(shared_data / "wnut17" / "emerging.dev.conll"),
            "model.name": checkpoint, "encoding.max_input_tokens": 128, "data.train_rows": 200, "data.eval_rows": 30,
            "training.epochs": 1, "gate.flips": 1000,
        }
    )  # fmt: skip
    done = run(experiment, baselines=tmp_path)
    assert done.tuned.manifest.scores.keys() == {"entity_f1", "entity_precision", "entity_recall"}
    assert {line[0] for table in done.tables["base"] for line in table.rows} >= {"person", "location"}
