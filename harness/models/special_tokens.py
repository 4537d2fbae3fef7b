"""Special tokens as a model's config has them."""

from __future__ import annotations


def read_special_token(config: object, name: str) -> int | list[int] | None:
    """A special token's id, several of them, or nothing; a list of one, as some checkpoints have it, counts as one.

    Args:
        config: a model's config.
        name: "pad", "eos" or "decoder_start".
    """
    value = getattr(config, f"{name}_token_id", None)
    return value[0] if isinstance(value, list) and len(value) == 1 else value
