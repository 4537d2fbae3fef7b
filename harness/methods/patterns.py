"""Patterns in an adapter's settings, which name layers and come with its files: some would be matched for ever."""

from __future__ import annotations

import re
from collections.abc import Iterator

from peft import PeftConfig

from harness.errors import ModelError

ENDLESS = re.compile(r"\(\?[^:=!<]|\(\?<[^=!]|\)\s*[*+{]|(?:(?:[*+{]|(?<!(?<!\\)\()\?).*){4}", re.DOTALL)
"""A group with a name or with flags, of which one allows comments that hide what follows; a group that is repeated, or
more than three repetitions, where "at most once" counts as well, but not the mark of a group: the time to match may
grow without bound (Davis and others 2018, "The impact of regular expression denial of service (ReDoS) in practice")."""


def require_quick_patterns(config: PeftConfig, where: object) -> None:
    """Make sure that the layers which an adapter names are found at once.

    Args:
        config: PEFT's settings of the adapter.
        where: the adapter's folder, for the message.

    Raises:
        ModelError: a pattern may be matched for ever.
    """
    for name, pattern in _list_patterns(config):
        if ENDLESS.search(pattern):
            raise ModelError(
                f"The adapter in {where} has {name} = {pattern!r:.100}.",
                why="To match such a pattern with the names of layers can take for ever, and nothing can stop it.",
                fix="List the ends of the layers' names in adapter_config.json.",
            )


def _list_patterns(config: PeftConfig) -> Iterator[tuple[str, str]]:
    for name in ("target_modules", "exclude_modules", "layers_pattern", "rank_pattern", "alpha_pattern"):
        value = getattr(config, name, None)
        several = value if isinstance(value, (list, set, tuple, dict)) else ()
        for pattern in [value] if isinstance(value, str) else several:
            yield name, str(pattern)
