"""The settings of what goes in: which model, which rows, how much is read, and how rows become token ids."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from harness.settings import Count, Seed, Settings

Amount = Annotated[int, Field(ge=1, le=10**15)]


class ModelSettings(Settings):
    """The base model."""

    name: str = Field("tiny-t5", min_length=1)
    """An embedded model, a checkpoint folder, or a hub id; by default that of the task's embedded experiment."""
    revision: str | None = None
    """The commit or tag of a hub model."""
    trust_remote_code: bool = False
    """Run Python that comes with the checkpoint (``auto_map``): it can do all that you can do."""
    allow_pickle: bool = False
    """Read weights from pickles (``pytorch_model.bin``) where there are no safetensors; only tensors are unpacked."""


class LimitSettings(Settings):
    """How much of a source is read before it is refused; each message names the limit that it met."""

    rows: Amount = 200_000_000
    """Rows of a source."""
    row_characters: Amount = 10_000_000
    """Characters of a row, or of a line of a file."""
    file_bytes: Amount = 200_000_000_000
    """Bytes of a file, counted after unpacking."""
    document_bytes: Amount = 4_000_000_000
    """Bytes of a JSON document, which is read as a whole, counted after unpacking."""


class DataSettings(Settings):
    """Where the rows come from, and how many of them train and evaluate."""

    source: str = Field("newsroom", min_length=1)
    """``newsroom``, a file, a folder of files or of ``datasets``, or a hub data set."""
    target_source: str | None = Field(None, min_length=1)
    """For parallel text: the text file that holds the target of each line of ``source``."""
    eval_source: str | None = None
    """Where the evaluation rows come from, if not from ``source``."""
    eval_target_source: str | None = Field(None, min_length=1)
    """For parallel text: the text file that holds the target of each line of ``eval_source``."""
    format: str | None = None
    """The format of the files, where their endings do not tell, as ``csv``; a wrong one is answered with the list."""
    columns: Annotated[tuple[str, ...], Field(min_length=1, strict=False)] | None = None
    """The columns of comma- or tab-separated files whose first line does not name them."""
    split: str = "train"
    """The split of a hub data set or saved ``DatasetDict`` to read."""
    eval_split: str | None = None
    """The split to take the evaluation rows from, if not from ``split``."""
    revision: str | None = None
    """The commit or tag of a hub data set."""
    input_columns: tuple[str, ...] | None = Field(None, min_length=1, strict=False)
    """The column that holds the input: the first of these that a file has; by default the task's usual names."""
    context_columns: tuple[str, ...] | None = Field(None, min_length=1, strict=False)
    """The column that holds the passage of a question: the first of these that a file has."""
    target_columns: tuple[str, ...] | None = Field(None, min_length=1, strict=False)
    """The column that holds the target: the first of these that a file has; by default the task's usual names."""
    train_rows: Count = 240
    """How many rows train. Where they ask about passages, the cut between the two splits moves to the nearest end of
    a passage."""
    eval_rows: Count = 200
    """How many rows evaluate."""
    allow_fewer: bool = False
    """Take what there is where a source has fewer rows than asked for; the splits keep their proportion."""
    seed: Seed = 42
    """Which rows are drawn, and which of them evaluate."""
    deduplicate: bool = False
    """Keep only the first of several rows whose inputs are equal after normalising."""
    drop_empty: bool = False
    """Leave out rows whose input or target is empty, instead of refusing the source."""
    scale: Annotated[tuple[str, ...], Field(min_length=2, strict=False)] | None = None
    """The names of all labels, from low to high where they have an order; by default the training rows tell."""
    thresholds: Annotated[tuple[float, ...], Field(min_length=1, strict=False)] | None = None
    """Turn a target that is a number into a label of ``scale``: where each label but the first begins, ascending."""
    limits: LimitSettings = LimitSettings()
    """When a source is refused as too large."""

    @model_validator(mode="after")
    def _scale_is_usable(self) -> Self:
        names, cuts = self.scale or (), self.thresholds or ()
        if any(not name or name != name.strip() for name in names) or len(set(names)) < len(names):
            raise ValueError(f"scale has a label twice, an empty one, or one with blanks around it: {list(names)}")
        if any(low >= high for low, high in pairwise(cuts)):
            raise ValueError(f"thresholds do not ascend: {', '.join(map(str, cuts))}")
        if cuts and len(names) != len(cuts) + 1:
            raise ValueError(f"{len(cuts)} thresholds part {len(cuts) + 1} labels, and scale names {len(names)}")
        return self

    @model_validator(mode="after")
    def _columns_differ(self) -> Self:
        if self.columns is not None and len(set(self.columns)) < len(self.columns):
            raise ValueError(f"columns names a column twice: {', '.join(self.columns)}")
        return self

    @model_validator(mode="after")
    def _targets_have_inputs(self) -> Self:
        if self.target_source is not None and self.source == "newsroom":
            raise ValueError("target_source is set, but source is not: name the file of the inputs there")
        if self.eval_target_source is not None and self.eval_source is None:
            raise ValueError("eval_target_source is set, but eval_source is not: name the file of the inputs there")
        return self


class EncodingSettings(Settings):
    """From text to token ids; the same for training and evaluation, base and tuned."""

    prefix: str | None = None
    """Put before each input; the task's own prefix where this is not set."""
    max_input_tokens: Count = 512
    """Longer inputs are cut, and how many is said."""
    max_target_tokens: Count = 128
    """Longer targets are cut in training, and how many is said."""
    loss_on: Literal["target", "all"] = "target"
    """What a causal model learns: the target alone, or the prompt as well, as in language modelling."""
    chat: bool = False
    """Put each prompt to a causal model as a chat, by the chat template of its tokenizer."""
    source_language: str | None = Field(None, min_length=1)
    """The language of the inputs, in the words of a tokenizer that knows several, as ``eng_Latn``."""
    target_language: str | None = Field(None, min_length=1)
    """The language of the targets; outputs are forced to begin with its token."""
    stride: int = Field(128, ge=0, le=100_000)
    """Where a text is read in several windows: how many of its tokens two neighbours share."""
