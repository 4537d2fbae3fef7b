"""The engines of CTranslate2, an optional library: the model is converted once for its weights.

Its beam search is not that of transformers: it knows no ``early_stopping``, so outputs may differ though the weights
are the same. Whether they agree is for a probe to say, see `harness.generation.agreement`. With int8 or bfloat16 the
weights themselves are rounded, and the engine is an approximation by its name.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from transformers import PreTrainedModel

from harness.atomic import locked, whole_folder
from harness.device import choose_device
from harness.errors import SettingsError
from harness.fingerprint import hash_weights
from harness.generation.batched import BatchedEngine, WriteBatch
from harness.generation.engine import Resolved


@dataclass(frozen=True)
class CTranslate2Engine(BatchedEngine):
    """CTranslate2 in one precision.

    Args:
        precision: "float32", "int8" or "bfloat16".
    """

    precision: str

    @property
    def exact(self) -> bool:
        """Whether the weights are those of the model."""
        return self.precision == "float32"

    def refuse(self, model: PreTrainedModel, settings: Resolved) -> None:
        """Make sure that the library is there and can convert the model.

        Raises:
            SettingsError: it cannot.
        """
        if importlib.util.find_spec("ctranslate2") is None:
            raise SettingsError(
                'generation.engine is "ctranslate2", and that library is not installed.',
                fix="Install it: pip install ctranslate2; or set another engine.",
            )
        import ctranslate2  # noqa: PLC0415 - an optional library

        device = choose_device().type
        can = ctranslate2.get_supported_compute_types(device)
        if self.precision not in can:
            raise SettingsError(
                f"CTranslate2 cannot compute in {self.precision} on this {device}.",
                fix=f"It can in {', '.join(sorted(can))}; or set another engine.",
            )
        if find_loader(model) is None or not model.config.is_encoder_decoder:
            raise SettingsError(
                f'generation.engine is "ctranslate2", and the model is a {type(model).__name__}.',
                why="This engine takes the encoder-decoders that the library can convert, as they are: no adapters.",
                fix='Set generation.engine to "transformers", or to "auto".',
            )

    @contextmanager
    def open(self, model: PreTrainedModel, settings: Resolved, *, batch_size: int) -> Iterator[WriteBatch]:
        """Convert the model, unless that was done for these weights, and load it."""
        import ctranslate2  # noqa: PLC0415 - an optional library

        device = model.device
        translator = ctranslate2.Translator(
            str(convert(model)),
            device=device.type,
            device_index=device.index or 0,
            compute_type=self.precision,
            intra_threads=torch.get_num_threads(),
        )
        options = to_options(settings)
        first = settings.get("forced_bos_token_id")
        pad = cast("int", settings["pad_token_id"])

        def write(sources: Sequence[Sequence[int]]) -> torch.Tensor:
            prefix = None if first is None else [[str(first)]] * len(sources)
            found = translator.translate_batch(
                [[str(token) for token in source] for source in sources], target_prefix=prefix, **options
            )
            tokens = [torch.tensor([int(token) for token in each.hypotheses[0]], dtype=torch.long) for each in found]
            return torch.nn.utils.rnn.pad_sequence(tokens, batch_first=True, padding_value=pad)

        yield write


def to_options(settings: Resolved) -> dict[str, Any]:
    """The settings in the library's words; transformers counts the decoder's start token as a token, it does not."""
    values = cast("dict[str, Any]", settings)
    eos = values["eos_token_id"]
    return {
        "beam_size": values["num_beams"],
        "length_penalty": values["length_penalty"],
        "min_decoding_length": max(0, values["min_length"] - 1),
        "max_decoding_length": values["max_length"] - 1,
        "no_repeat_ngram_size": values["no_repeat_ngram_size"],
        "end_token": [str(token) for token in (eos if isinstance(eos, list) else [eos])],
        "return_end_token": True,
        "max_batch_size": 0,
    }


def find_loader(model: PreTrainedModel) -> Any:
    """The library's own reader of this kind of model; nothing where there is none, or the model is wrapped."""
    from ctranslate2.converters import transformers as readers  # noqa: PLC0415 - an optional library

    loader = readers._MODEL_LOADERS.get(type(model.config).__name__)  # noqa: SLF001 - no public name
    plain = loader is not None and loader.architecture_name == type(model).__name__
    return loader if plain else None


def convert(model: PreTrainedModel) -> Path:
    """The folder of the converted model, made once for these weights.

    Its vocabulary are the token ids in decimal, so that no tokenizer comes between.
    """
    import ctranslate2  # noqa: PLC0415 - an optional library

    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "finetune-harness" / "ctranslate2"
    folder = home / f"{ctranslate2.__version__}-{hash_weights(model)}"
    with locked(home):
        if not folder.is_dir():
            spec = make_spec(model)
            with whole_folder(folder) as fresh:
                spec.save(str(fresh))
    return folder


def make_spec(model: PreTrainedModel) -> Any:
    """The model as the library describes it."""
    config = model.config
    spec = find_loader(model).get_model_spec(model)
    ids = [str(token) for token in range(model.get_input_embeddings().weight.shape[0])]
    spec.register_source_vocabulary(ids)
    spec.register_target_vocabulary(ids)
    start = config.pad_token_id if config.decoder_start_token_id is None else config.decoder_start_token_id
    eos = config.eos_token_id[0] if isinstance(config.eos_token_id, list) else config.eos_token_id
    spec.config.bos_token = spec.config.decoder_start_token = spec.config.unk_token = str(start)
    spec.config.eos_token = str(eos)
    spec.config.add_source_bos = spec.config.add_source_eos = False
    spec.validate()
    spec.optimize(quantization=None)
    return spec


generate = CTranslate2Engine("float32")
"""The engine "ctranslate2"."""
generate_int8 = CTranslate2Engine("int8")
"""The engine "ctranslate2-int8"."""
generate_bfloat16 = CTranslate2Engine("bfloat16")
"""The engine "ctranslate2-bfloat16"."""
