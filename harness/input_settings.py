"""The settings of what comes from outside: which model, whether its files may run code, and how much data is read."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from harness.settings import Settings

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
