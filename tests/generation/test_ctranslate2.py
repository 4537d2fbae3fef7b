"""The engines of CTranslate2, where that library is installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from harness.errors import SettingsError
from harness.generation import ENGINES
from harness.generation.agreement import compare_outputs
from harness.generation.ctranslate2_engine import CTranslate2Engine, convert
from harness.models.loading import LoadedModel
from tests.forms.causal_models import load_small
from tests.generation.graph.random_models import make_model, resolve
from tests.small import encode_rows

INSTALLED = importlib.util.find_spec("ctranslate2") is not None
needed = pytest.mark.skipif(not INSTALLED, reason="ctranslate2 is not installed")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own for each test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.skipif(INSTALLED, reason="ctranslate2 is installed")
def test_a_missing_library_is_a_sentence(tiny_t5: LoadedModel) -> None:
    """What to install is said before anything is converted."""
    with pytest.raises(SettingsError, match=r"not installed.*Install it: pip install ctranslate2;"):
        ENGINES["ctranslate2"].refuse(tiny_t5.model, {})


@needed
@pytest.mark.parametrize(
    ("chosen", "least"),
    [({"min_length": 8, "max_length": 30}, 12), ({"num_beams": 3, "min_length": 8, "max_length": 30}, 9)],
    ids=["greedy", "beams"],
)
def test_float32_writes_what_the_reference_writes(tiny_t5: LoadedModel, chosen: dict[str, int], least: int) -> None:
    """Greedy every row, lengths counted alike; of its beam search, which is another, most."""
    rows, resolved = encode_rows(tiny_t5, 12), resolve(tiny_t5.model, **chosen)
    ours, theirs = (
        ENGINES[name].write(tiny_t5.model, rows, resolved, batch_size=5) for name in ("ctranslate2", "transformers")
    )
    found = compare_outputs(tiny_t5.model, rows, resolved, ours, theirs)
    assert found.equal + found.tied >= least


@needed
def test_approximations_are_declared(tiny_t5: LoadedModel) -> None:
    """They generate for every row, and do not pass for exact; what the device cannot compute is refused."""
    rows, resolved = encode_rows(tiny_t5, 4), resolve(tiny_t5.model, max_length=12)
    assert len(ENGINES["ctranslate2-int8"].write(tiny_t5.model, rows, resolved, batch_size=2)) == 4
    assert [ENGINES[f"ctranslate2{end}"].exact for end in ("", "-int8", "-bfloat16")] == [True, False, False]
    with pytest.raises(SettingsError, match="cannot compute in float8"):
        CTranslate2Engine("float8").refuse(tiny_t5.model, resolved)


@needed
def test_a_model_is_converted_once(cache: Path) -> None:
    """The same weights are found again, and other weights are another folder."""
    model = make_model(0).float()
    first = convert(model)
    stamp = first.stat().st_mtime_ns
    assert first.is_relative_to(cache)
    assert convert(model) == first
    assert first.stat().st_mtime_ns == stamp
    model.lm_head.weight.data[5] += 1
    assert convert(model) != first


@needed
def test_what_it_cannot_convert_is_refused() -> None:
    """A causal model is named, not converted."""
    with pytest.raises(SettingsError, match="the model is a LlamaForCausalLM"):
        ENGINES["ctranslate2"].refuse(load_small("llama").model, {})
