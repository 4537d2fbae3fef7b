"""Hashes: equal for equal things, different for different ones."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForSeq2SeqLM

from harness.fingerprint import (
    LIBRARIES,
    describe_environment,
    hash_file,
    hash_json,
    hash_list,
    hash_text,
    hash_weights,
    list_versions,
)
from harness.models.loading import LoadedModel

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(JSON)
def test_json_hash_survives_a_round_trip(value: object) -> None:
    """A value read back from JSON has the hash it had."""
    assert hash_json(json.loads(json.dumps(value))) == hash_json(value)


@given(st.lists(JSON))
def test_a_list_met_one_by_one_has_the_hash_of_the_list(values: list[object]) -> None:
    """So what is on disk has the hash that stored baselines know."""
    assert hash_list(iter(values)) == hash_json(values)


@given(st.text(), st.text())
def test_text_hash_tells_texts_apart(one: str, other: str) -> None:
    """Texts have equal hashes exactly if they are equal."""
    assert (hash_text(one) == hash_text(other)) == (one == other)


def test_weights_hash_survives_saving(tiny_t5: LoadedModel, tmp_path: Path) -> None:
    """A model saved and loaded has the same hash: shared tensors are counted once, whatever the file lists."""
    tiny_t5.model.save_pretrained(tmp_path)
    assert hash_weights(AutoModelForSeq2SeqLM.from_pretrained(tmp_path)) == hash_weights(tiny_t5.model)


def test_weights_hash_sees_name_shape_type_and_value() -> None:
    """Another name, shape, type or bit is another hash."""

    def model(name: str, tensor: torch.Tensor) -> torch.nn.Module:
        module = torch.nn.Module()
        module.register_parameter(name, torch.nn.Parameter(tensor, requires_grad=False))
        return module

    zeros = torch.zeros(2, 3)
    variants = [
        model("a", zeros), model("b", zeros), model("a", zeros.reshape(3, 2)), model("a", zeros.half()),
        model("a", -zeros), model("a", zeros + 1e-30),
    ]  # fmt: skip
    assert len({hash_weights(variant) for variant in variants}) == len(variants)
    assert hash_weights(model("a", torch.zeros(3, 2).T)) == hash_weights(model("a", zeros))


def test_weights_hash_knows_what_is_saved() -> None:
    """A buffer that is saved counts; one that a library makes anew at each loading does not."""

    def model(*, persistent: bool, value: float) -> torch.nn.Module:
        module = torch.nn.Linear(2, 2)
        torch.nn.init.zeros_(module.weight)
        torch.nn.init.zeros_(module.bias)
        module.register_buffer("extra", torch.full((2,), value), persistent=persistent)
        return module

    assert len({hash_weights(model(persistent=True, value=value)) for value in (0.0, 1.0)}) == 2
    assert len({hash_weights(model(persistent=False, value=value)) for value in (0.0, 1.0)}) == 1


@given(content=st.binary(max_size=200))
def test_file_hash_is_that_of_its_bytes(content: bytes) -> None:
    """Nothing is decoded, and no line end is changed."""
    with TemporaryDirectory() as folder:
        (Path(folder) / "x").write_bytes(content)
        assert hash_file(Path(folder) / "x") == hashlib.sha256(content).hexdigest()


def test_versions_are_those_of_all_that_is_installed() -> None:
    """The extras are among them, each with the version that it says itself."""
    versions = list_versions()
    assert {"peft", "sacrebleu", "scikit-learn", "torch"} < set(versions)
    assert all(versions[name] == importlib.metadata.version(name) for name in versions)


def test_environment_names_every_library() -> None:
    """A manifest says which versions made it."""
    environment = describe_environment()
    assert set(LIBRARIES) < set(environment)
    assert environment["threads"] == str(torch.get_num_threads())
