"""The experiment and its parts: frozen, keyword-only, validated; read from ``harness.toml`` or a preset."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import Field, ValidationError, model_validator
from pydantic_core import PydanticSerializationError

from harness.errors import SettingsError
from harness.explaining import explain_problems
from harness.input_settings import DataSettings, EncodingSettings, LimitSettings, ModelSettings
from harness.method_settings import AdapterSettings, LoraSettings, PromptSettings, RlhfSettings
from harness.registry import unknown_name
from harness.settings import Count, Name, Seed, Settings

S = TypeVar("S", bound=Settings)
DEFAULT_FILE = Path("harness.toml")
DEFAULT_PRESET = "summarization-full"


class HeadSettings(Settings):
    """What stands on an encoder, where the task needs a head."""

    decoder: Literal["crf", "softmax"] = "crf"
    """How tags are chosen: the best sequence of a conditional random field, or the best tag of each word."""
    class_weights: Literal["none", "balanced"] = "none"
    """``balanced`` weighs the loss of a row by how rare its class is among the training rows."""
    max_answer_tokens: Count = 30
    """The longest answer that question answering may give."""
    seed: Seed = 0
    """Draws the weights of a new head."""


class TrainingSettings(Settings):
    """How the weights are changed. AdamW throughout."""

    learning_rate: float = Field(1e-3, ge=0, le=1e6)
    """The highest learning rate; warm-up leads to it, and the schedule away from it."""
    weight_decay: float = Field(0.01, ge=0, le=1e3)
    """How much each step takes off the weights, times the learning rate; biases and norms are spared."""
    epochs: int = Field(8, ge=1, le=100_000)
    """How often each row is seen; with ``patience`` at most so often."""
    batch_size: Count = 8
    """Rows that are computed at once."""
    accumulation: Count = 1
    """Batches that make one step; the step is that of one large batch."""
    warmup_steps: int = Field(0, ge=0)
    """Steps in which the learning rate rises from 0."""
    schedule: Literal["linear", "cosine", "inverse_sqrt", "constant_with_warmup", "constant"] = "linear"
    """How the learning rate falls; the names are those of transformers."""
    max_gradient_norm: float = Field(1.0, gt=0)
    """Longer gradients are cut to this norm."""
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """The share of each label's probability that is spread evenly over all labels."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """``bfloat16`` computes matrix products in half the bits; weights, optimizer and evaluation stay in float32."""
    gradient_checkpointing: bool = False
    """Compute activations a second time in the backward pass instead of keeping them: less memory, more time."""
    sharding: Literal["none", "full"] = "none"
    """``full`` divides weights, gradients and optimizer among the processes of a training on several GPUs (FSDP)."""
    patience: Count | None = None
    """Stop where the loss of held-out rows has brought no new best for so many epochs, and keep the best weights."""
    held_out: float = Field(0.1, gt=0, lt=1)
    """The share of the training rows that ``patience`` looks at; they do not train, and never evaluate."""
    seed: Seed = 42
    """Decides the order of the rows, dropout, and which rows are held out."""

    @model_validator(mode="after")
    def _warmup_acts(self) -> Self:
        if self.warmup_steps and self.schedule == "constant":
            raise ValueError(
                f'warmup_steps is {self.warmup_steps}, and the schedule "constant" has no warm-up: '
                'say "constant_with_warmup"'
            )
        return self

    @model_validator(mode="after")
    def _best_weights_are_whole(self) -> Self:
        if self.sharding == "full" and self.patience is not None:
            raise ValueError("patience keeps the best weights of each epoch, and with sharding no process has them all")
        return self


class GenerationSettings(Settings):
    """How text is generated; names and meanings are those of transformers' ``GenerationConfig``."""

    engine: str = "transformers"
    """What generates; ``auto`` takes the fastest that agrees with ``transformers`` on rows of this run."""
    num_beams: int = Field(1, ge=1, le=256)
    """How many beginnings of a text are followed at once; 1 takes the likeliest token each time."""
    min_length: int = Field(0, ge=0)
    """In tokens; the decoder's start token counts. Of a causal model only the new tokens are counted."""
    max_length: int = Field(64, ge=2, le=100_000)
    """In tokens; the decoder's start token counts. Of a causal model only the new tokens are counted."""
    length_penalty: float = 1.0
    """Of beams: the power of its length by which a text's log-likelihood is divided; above 0 favours longer texts."""
    early_stopping: bool | Literal["never"] = False
    """Of beams: ``true`` ends a row once as many texts are finished as there are beams, ``false`` once better ones are
    unlikely, ``never`` once there can be none."""
    no_repeat_ngram_size: int = Field(0, ge=0)
    """No run of so many tokens comes twice in a text; 0 allows it."""
    batch_size: Count = 32
    """Rows in a batch, at most; fewer where memory runs out."""
    batch_tokens: Count | None = None
    """Tokens of the inputs in a batch, at most, padding counted."""

    @model_validator(mode="after")
    def _lengths_are_in_order(self) -> Self:
        if self.min_length > self.max_length:
            raise ValueError(f"min_length {self.min_length} is more than max_length {self.max_length}")
        return self


class GateSettings(Settings):
    """What must hold, and how sure the gate must be."""

    require: tuple[str, ...] | None = Field(None, min_length=1, strict=False)
    """Sentences; `harness.requirements` lists the forms. By default the tuned model must beat its base."""
    level: float = Field(0.05, gt=0, lt=0.5)
    """The share of false alarms that is accepted, over all metrics together."""
    flips: int = Field(10_000, ge=1_000, le=1_000_000)
    """Sign flips drawn for the paired test."""
    smallest_effect: float = Field(1.0, ge=0.001)
    """The smallest difference worth finding, in the metric's unit; fewer rows than that takes is "inconclusive"."""


class CheckSettings(Settings):
    """What the checks of the pipeline look at."""

    pipeline: str | None = Field(None, pattern=r"^[^:]+:\w+$")
    """The pipeline under test, as ``module:attribute`` or ``path/to/file.py:attribute``; by default what this
    experiment itself does."""


class Experiment(Settings):
    """Everything that decides how a run comes out."""

    name: Name
    """What runs and baselines are stored under: letters, digits, ``.``, ``_`` and ``-``."""
    task: str = "summarization"
    """What is learned: ``summarization``, ``translation``, ``classification``, ``sentiment``, ``ner``,
    ``question-answering`` or ``generation``."""
    method: str = "full"
    """How the model is adapted: ``full``, ``prompt``, ``lora``, ``adapters`` or ``rlhf``."""
    repeats: int = Field(1, ge=1, le=100)
    """How many models are trained, with ``training.seed`` and the seeds behind it; a gain must survive their noise."""
    data: DataSettings = DataSettings()
    model: ModelSettings = ModelSettings()
    """Without a name, the one of the embedded experiment of the task."""
    encoding: EncodingSettings = EncodingSettings()
    head: HeadSettings = HeadSettings()
    training: TrainingSettings = TrainingSettings()
    lora: LoraSettings = LoraSettings()
    adapters: AdapterSettings = AdapterSettings()
    prompt: PromptSettings = PromptSettings()
    rlhf: RlhfSettings = RlhfSettings()
    generation: GenerationSettings = GenerationSettings()
    gate: GateSettings = GateSettings()
    checks: CheckSettings = CheckSettings()

    @model_validator(mode="before")
    @classmethod
    def _model_is_that_of_the_task(cls, content: Any) -> Any:
        model = content.get("model", {}) if isinstance(content, dict) else None
        if isinstance(model, dict) and "name" not in model and (name := _default_model(content.get("task"))):
            return {**content, "model": {**model, "name": name}}
        return content

    @model_validator(mode="after")
    def _prompt_is_read_whole(self) -> Self:
        budget, limit = self.prompt.max_prompt_tokens, self.encoding.max_input_tokens
        if budget is not None and budget > limit:
            raise ValueError(
                f"prompt.max_prompt_tokens is {budget}, and no more than encoding.max_input_tokens = {limit} are read"
            )
        return self

    @property
    def way(self) -> str:
        """How the model is adapted, in a word: the method, or what the method's settings make of it, as few-shot."""
        return str(getattr(getattr(self, self.method, None), "way", self.method))

    def override(self, changes: Mapping[str, object]) -> Experiment:
        """A copy with some settings changed, each named by its path, as in ``{"training.epochs": 3}``.

        Raises:
            SettingsError: a name is unknown or a value is wrong.

        Example:
            >>> load_experiment("summarization-full").override({"training.epochs": 3}).training.epochs
            3
        """
        content = self.model_dump()
        for path, value in changes.items():
            place_value(content, path, value)
        return parse_experiment(content, where="the command line")


def load_experiment(choice: str | None = None, *, task: str | None = None) -> Experiment:
    """Read an experiment.

    Args:
        choice: a preset's name, or the path of a file like ``harness.toml`` or of a run's ``experiment.json``; by
            default ``harness.toml`` if the working folder has one, else the embedded preset.
        task: whose embedded preset that is, also where ``harness.toml`` is of another task; by default summarization's.

    Raises:
        SettingsError: the file cannot be read, or a setting is unknown or wrong.
        NameUnknownError: neither a preset nor a file has this name.

    Example:
        >>> experiment = load_experiment("sentiment-full")
        >>> experiment.task, experiment.model.name
        ('sentiment', 'tiny-bert')
    """
    if choice is None:
        preset = f"{task}-full" if f"{task}-full" in presets() else None
        if os.path.lexists(DEFAULT_FILE):
            own = load_experiment(str(DEFAULT_FILE))
            if preset is None or task == own.task:
                return own
        choice = preset or DEFAULT_PRESET
    if choice in presets():
        return parse_experiment(_read_preset(choice), where=f"preset {choice}")
    path = Path(choice)
    if not path.is_file():
        if path.suffix == ".toml" or len(path.parts) > 1:
            raise SettingsError(
                f"There is no file {path}.", fix="Check the path, or name a preset: " + ", ".join(presets())
            )
        raise unknown_name("preset", choice, presets())
    try:
        text = path.read_text(encoding="utf-8-sig")
        content = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (ValueError, RecursionError, OSError) as error:
        raise SettingsError(
            f"{path} cannot be read: {error}.", fix="Mend that line; the format is TOML, or JSON in a .json file."
        ) from error
    if not isinstance(content, dict):
        raise SettingsError(f"{path} holds no settings.", fix="Give an object, as in experiment.json of a run.")
    return parse_experiment(anchor(content, path.parent), where=str(path))


def anchor(content: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Paths in a file are meant from that file's folder; what is not there may be a name, and stays as it is."""
    for group, name in (
        ("data", "source"),
        ("data", "target_source"),
        ("data", "eval_source"),
        ("data", "eval_target_source"),
        ("model", "name"),
        ("rlhf", "pairs"),
    ):
        settings = content.get(group)
        if not isinstance(settings, dict):
            continue
        value = settings.get(name)
        if isinstance(value, str) and value and os.path.lexists(folder / value):
            settings[name] = str(folder / value)
    checks = content.get("checks")
    if isinstance(checks, dict) and isinstance(place := checks.get("pipeline"), str):
        file, colon, attribute = place.rpartition(":")
        if file and os.path.lexists(folder / file):
            checks["pipeline"] = f"{folder / file}{colon}{attribute}"
    return content


def presets() -> tuple[str, ...]:
    """The names of the experiments that come with the package."""
    folder = resources.files("harness") / "presets"
    return tuple(sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml")))


def _read_preset(name: str) -> dict[str, Any]:
    return tomllib.loads((resources.files("harness") / "presets" / f"{name}.toml").read_text(encoding="utf-8"))


def _default_model(task: object) -> str | None:
    """The model of the task's embedded experiment; none where it has no such experiment."""
    preset = f"{task}-full"
    return str(_read_preset(preset)["model"]["name"]) if preset in presets() else None


def parse_experiment(content: Mapping[str, object], *, where: str) -> Experiment:
    """Check settings.

    Raises:
        SettingsError: a setting is unknown or wrong; the message names each one.
    """
    return parse_settings(Experiment, content, where=where)


def parse_settings(kind: type[S], content: Mapping[str, object], *, where: str) -> S:
    """Check settings of one kind.

    Raises:
        SettingsError: a setting is unknown or wrong; the message names each one.
    """
    try:
        found = kind.model_validate(content)
        found.model_dump_json()
    except ValidationError as error:
        raise explain_problems(error, kind, where=where) from error
    except PydanticSerializationError as error:
        raise SettingsError(
            f"{where} holds half of a character: {error}.",
            why="After the training it could not be written down.",
            fix="Write the text anew as UTF-8; it was cut inside an emoji or a rare letter.",
        ) from error
    return found


def place_value(content: dict[str, Any], path: str, value: object) -> None:
    """Put a value into nested settings, at its path.

    Raises:
        SettingsError: the path leads through a value.
    """
    *groups, name = path.split(".")
    place = content
    for group in groups:
        place = place.setdefault(group, {})
        if not isinstance(place, dict):
            raise SettingsError(f'"{path}" is no setting: "{group}" has no parts.', fix="Leave the rest out.")
    place[name] = value


__all__ = [
    "CheckSettings",
    "DataSettings",
    "EncodingSettings",
    "Experiment",
    "GateSettings",
    "GenerationSettings",
    "HeadSettings",
    "LimitSettings",
    "ModelSettings",
    "PromptSettings",
    "RlhfSettings",
    "Settings",
    "TrainingSettings",
    "anchor",
    "load_experiment",
    "parse_experiment",
    "parse_settings",
    "place_value",
    "presets",
]
