"""Source and target each in its own language: tokens of languages, vocabularies of their own, forced beginnings."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import M2M100Config, M2M100ForConditionalGeneration, M2M100Tokenizer

from harness.config import load_experiment
from harness.data.rows import Row
from harness.data.source import load_splits
from harness.defects.reference.models import make_marian
from harness.defects.reference.tokenizers import real_tokenizer
from harness.errors import LabelError, ModelError
from harness.experiment import run
from harness.forms.encoder_decoder import EncoderDecoder
from harness.models.loading import LoadedModel
from harness.tasks.task import Batch, Features, flatten
from harness.tasks.translation import TRANSLATION
from tests.small import SMALL

pytestmark = pytest.mark.filterwarnings("ignore:Recommended")  # an extra of Marian's that is not needed
ROWS = [Row(id="0", input="Good morning.", target="Guten Morgen."), Row(id="1", input="No, no, no.", target="Nein.")]


@pytest.fixture(scope="module")
def m2m(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small model of many languages, over real pieces."""
    sentencepiece = pytest.importorskip("sentencepiece")
    pieces_file = shared_data / "tokenizers" / "marian-en-mg" / "target.spm"
    folder = tmp_path_factory.mktemp("m2m")
    known = sentencepiece.SentencePieceProcessor(str(pieces_file))
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    pieces = [piece for piece in map(known.id_to_piece, range(2000)) if piece not in special]
    (folder / "vocab.json").write_text(json.dumps({piece: place for place, piece in enumerate([*special, *pieces])}))
    shutil.copy(pieces_file, folder / "sentencepiece.bpe.model")
    tokenizer = M2M100Tokenizer(str(folder / "vocab.json"), str(folder / "sentencepiece.bpe.model"))
    tokenizer.save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = M2M100Config(
            vocab_size=len(tokenizer) + 100,  # the languages stand behind the pieces
            d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
            encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=256, decoder_start_token_id=2,
        )  # fmt: skip
        M2M100ForConditionalGeneration(config).save_pretrained(folder)
    return folder


def make_form(folder: Path | str, **languages: str | None) -> EncoderDecoder:
    settings = {f"encoding.{name}_language": language for name, language in languages.items()}
    experiment = load_experiment("translation-full").override({**SMALL, "model.name": str(folder), **settings})
    return EncoderDecoder(task=TRANSLATION, experiment=experiment)


def test_each_side_has_its_language(m2m: Path) -> None:
    """Inputs begin with the token of their language, labels with that of theirs, and so do the outputs, by force."""
    form = make_form(m2m, source="en", target="de")
    loaded = form.load(ROWS)
    english, german = (loaded.tokenizer.get_lang_id(language) for language in ("en", "de"))
    encoded, settings = form.encode(ROWS, loaded), form.resolve(loaded)
    assert all(row.input_ids[0] == english and row.labels[0] == german for row in encoded)
    assert settings["forced_bos_token_id"] == german
    form.audit(ROWS, encoded, loaded, form.make_collator(loaded))
    assert len(form.predict(loaded, ROWS, encoded, settings)) == 2
    assert form.encoding.items() >= {"source_language": "en", "target_language": "de"}.items()


def test_another_language_is_other_labels(m2m: Path) -> None:
    """The settings act: other languages give other ids, and batches labelled in one are red in the other."""
    german, french = (make_form(m2m, source="en", target=language) for language in ("de", "fr"))
    loaded = german.load(ROWS)
    encoded = german.encode(ROWS, loaded)
    other = french.load(ROWS)
    assert [row.labels for row in french.encode(ROWS, other)] != [row.labels for row in encoded]
    with pytest.raises(LabelError, match="the supervised labels decode to"):
        french.audit(ROWS, encoded, other, french.make_collator(other))


@pytest.mark.parametrize("side", ["source", "target"])
def test_unknown_language_is_named(m2m: Path, side: str) -> None:
    """A language in another model's words is an error, and no KeyError."""
    with pytest.raises(ModelError, match=f'does not know the language "deu_Latn" of encoding.{side}_language'):
        make_form(m2m, **{side: "deu_Latn"}).load(ROWS)


def test_a_model_without_languages_says_so() -> None:
    """T5 has no token for a language: the prefix names it."""
    with pytest.raises(ModelError, match='target_language is "de", and the tokenizer of "tiny-t5" knows no languages'):
        make_form("tiny-t5", target="de").load(ROWS)
    assert "target_language" not in make_form("tiny-t5").encoding


def test_a_model_of_many_languages_is_told_which(m2m: Path) -> None:
    """Without a language for the targets no label could be made: an error says which setting is missing."""
    with pytest.raises(ModelError, match=r"encoding\.target_language is not set"):
        make_form(m2m, source="en").load(ROWS)


def test_targets_have_the_vocabulary_of_targets(shared_data: Path) -> None:
    """Marian cuts source and target by two vocabularies: labels by that of the source turn the audit red."""
    tokenizer = real_tokenizer(shared_data / "tokenizers" / "marian-en-mg")
    rows = [
        Row(id="0", input="Good morning.", target="Salama tompoko"),
        Row(id="1", input="No.", target="Tsia tompoko"),
    ]
    loaded = LoadedModel(name="marian", model=make_marian(tokenizer, 0), tokenizer=tokenizer)
    form = make_form("tiny-t5")
    encoded = form.encode(rows, loaded)
    for row, entry in zip(rows, encoded, strict=True):
        assert entry.labels == tokenizer(text_target=row.target)["input_ids"]
        assert tokenizer.decode(entry.labels, skip_special_tokens=True) == row.target
    clean = form.make_collator(loaded)
    form.audit(rows, encoded, loaded, clean)

    def by_the_source(examples: list[Features]) -> Batch:
        wrong = [tokenizer(row.target)["input_ids"] for row in rows]
        return clean([{**example, "labels": ids} for example, ids in zip(examples, wrong, strict=True)])

    assert len(flatten(encoded)) == len(rows)
    with pytest.raises(LabelError, match="the supervised labels decode to"):
        form.audit(rows, encoded, loaded, by_the_source)


def test_real_pairs_from_end_to_end(m2m: Path, shared_data: Path, tmp_path: Path) -> None:
    """NTREX, English and German lines of two files, through a model of many languages: rows belong together."""
    folder = shared_data / "ntrex"
    settings: dict[str, object] = {
        **SMALL,
        "data.source": str(folder / "newstest2019-src.eng.0001-1000.txt"),
        "data.target_source": str(folder / "newstest2019-ref.deu.0001-1000.txt"),
        "model.name": str(m2m),
        "encoding.prefix": "",
        "encoding.source_language": "en",
        "encoding.target_language": "de",
        "encoding.max_input_tokens": 64,
        "encoding.max_target_tokens": 64,
        "generation.max_length": 12,
        "training.epochs": 1,
        "gate.require": ["tuned must beat base on bleu"],
    }
    experiment = load_experiment("translation-full").override(settings)
    splits = load_splits(experiment.data, TRANSLATION)
    english, german = (
        (folder / f"newstest2019-{name}.0001-1000.txt").read_text().splitlines() for name in ("src.eng", "ref.deu")
    )
    assert all(german[english.index(row.input)] == row.target for row in splits.train)
    done = run(experiment, baselines=tmp_path)
    assert done.losses[-1] < done.losses[0]
    assert {"bleu", "chrf"} <= set(done.tuned.manifest.metrics)
    assert done.tuned.manifest.generation["forced_bos_token_id"] is not None
