"""What every group of settings is made of, and which names are safe as the name of a folder."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from harness.errors import UsageError

RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""What Windows takes for a device, whatever its ending."""


def why_unsafe(name: str) -> str | None:
    """Why a name cannot be that of a folder on every system, or nothing where it can.

    Only ASCII is allowed: two names that look alike, or that one file system takes for the other, would be two
    experiments to us and one to the reader.
    """
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name) is None:
        return "1 to 100 of A-Z, a-z, 0-9, dot, underscore and hyphen are allowed, and a letter or digit comes first"
    if name.endswith("."):
        return "Windows drops a dot at the end"
    if RESERVED.fullmatch(name):
        return "it is the name of a device on Windows"
    return None


def require_name(name: str, what: str) -> None:
    """Make sure that a name stays in the folder that it is put into.

    Args:
        name: given from outside.
        what: whose name it is, for the message.

    Raises:
        UsageError: it may not.
    """
    if reason := why_unsafe(name):
        raise UsageError(
            f"{name[:100]!r} is no name of {what}: {reason}.",
            why="It names a folder, which must lie where all the others lie.",
            fix="Give a plain name.",
        )


def _check_name(name: str) -> str:
    if reason := why_unsafe(name):
        raise ValueError(f"{name[:100]!r} is no name of a folder: {reason}")
    return name


Count = Annotated[int, Field(ge=1, le=10_000_000)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Name = Annotated[str, AfterValidator(_check_name)]


class Settings(BaseModel):
    """A group of settings: unknown names are errors, values never change after they were checked."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
