"""What the checks of generation share: uneven rows, a model that is easily moved, and an ear at ``generate``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from harness.checks.check import CheckSkipped
from harness.checks.evidence import Evidence
from harness.checks.oracle import generate_wrapped
from harness.checks.recorder import record, unwrap

TIMES = 4.0
"""How much larger the weights of `sensitive` are: enough for a fresh model to write other text for other context."""


@dataclass(frozen=True, kw_only=True)
class Generation:
    """One call of ``generate``.

    Args:
        read: the ids it was given, (batch, length); nothing where it was given none.
        mask: the attention mask, of the same shape; nothing where it was given none.
        settings: the keywords of the call, over the generation config that it used.
        ids: what it returned, (batch, length): prompt and new tokens, or for an encoder-decoder start and new tokens.
    """

    read: torch.Tensor | None
    mask: torch.Tensor | None
    settings: dict[str, Any]
    ids: torch.Tensor


@contextmanager
def listen(model: torch.nn.Module) -> Iterator[list[Generation]]:
    """Note every call of the model's ``generate`` within the block; none where a pipeline decodes by itself."""
    heard: list[Generation] = []
    inner: Any = unwrap(model)

    def generate(own: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        result = own(*args, **kwargs)
        named = {**({"inputs": args[0]} if args else {}), **kwargs}
        read = next((named[name] for name in ("inputs", "input_ids") if named.get(name) is not None), None)
        config = named.get("generation_config") or inner.generation_config
        settings = {**config.to_dict(), **{name: value for name, value in named.items() if _is_setting(value)}}
        ids = getattr(result, "sequences", result)
        heard.append(Generation(read=read, mask=named.get("attention_mask"), settings=settings, ids=ids))
        return result

    with generate_wrapped(inner, generate):
        yield heard


def _is_setting(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str | list | tuple)


def sensitive(model: torch.nn.Module) -> torch.nn.Module:
    """The same model with all matrices larger: attention becomes sharp, and what is read decides what is written.

    A fresh model is nearly deaf: it repeats one token whatever it reads, and no wrong mask would be seen in its text.
    """
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(TIMES)
    return model


def uneven_rows(evidence: Evidence, count: int = 4) -> list[Any]:
    """Rows of the user's whose inputs are short and long by turns; as they are where their inputs are no texts."""
    rows = evidence.rows(count)
    texts = [evidence.column(row, "input") for row in rows]
    if not all(isinstance(text, str) for text in texts):
        return rows
    changed = [" ".join([text] * 3) if place % 2 else short(text) for place, text in enumerate(texts)]
    targets = [evidence.column(row, "target") for row in rows]
    if any(target is None for target in targets):
        return rows
    made = evidence.with_texts(list(zip(changed, targets, strict=True)))
    names = evidence.column_name(rows[0], "input"), evidence.column_name(rows[0], "target")
    return [{**row, **{name: new[name] for name in names}} for row, new in zip(rows, made, strict=True)]


def short(text: str) -> str:
    """The first third of a text's words."""
    words = text.split()
    return " ".join(words[: max(1, len(words) // 3)])


def padding_of(evidence: Evidence, model: torch.nn.Module, rows: Sequence[Any]) -> tuple[str, bool]:
    """On which side a batch was padded for generation ("left", "right", or "none"), and whether a mask said so."""
    with record(model) as recording, listen(model) as heard:
        evidence.generate(model, rows, batch_size=len(rows))
    if heard:
        read, mask = heard[0].read, heard[0].mask
    else:
        first = next((call.inputs for call in recording.calls if "input_ids" in call.inputs), {})
        read, mask = first.get("input_ids"), first.get("attention_mask")
    if mask is not None and (mask == 0).any():
        return _side(mask == 0), True
    pad = getattr(evidence.pipeline.tokenizer, "pad_token_id", None) if evidence.has("tokenizer") else None
    if read is None or pad is None or read.ndim != 2:  # noqa: PLR2004 - (batch, length)
        return "none", mask is not None
    return _side(read == pad, at_least=2), False


def _side(padded: torch.Tensor, at_least: int = 1) -> str:
    """Where most rows that have padding have it; one pad at the end may be a closing token."""
    left = int((padded.long().cumprod(1).sum(1) >= at_least).sum())
    right = int((padded.flip(1).long().cumprod(1).sum(1) >= at_least).sum())
    if left == right == 0:
        return "none"
    return "left" if left >= right else "right"


def differing(first: Sequence[Any], second: Sequence[Any]) -> list[int]:
    """The places at which two equally long lists differ."""
    return [place for place, (one, other) in enumerate(zip(first, second, strict=True)) if one != other]


def quote(text: str, longest: int = 60) -> str:
    """A text in quotes, shortened."""
    return f'"{text}"' if len(text) <= longest else f'"{text[:longest]}…"'


def closing_token(evidence: Evidence, model: torch.nn.Module) -> int:
    """The token at which the model stops writing.

    Raises:
        CheckSkipped: neither model nor tokenizer names one.
    """
    config = getattr(unwrap(model), "generation_config", None)
    stops = getattr(config, "eos_token_id", None)
    stops = [] if stops is None else [stops] if isinstance(stops, int) else list(stops)
    own: int | None = getattr(evidence.part("tokenizer"), "eos_token_id", None)
    if own in stops or (not stops and own is not None):
        return own if own is not None else int(stops[0])
    if not stops:
        raise CheckSkipped("neither model nor tokenizer names a token that ends a text")
    return int(stops[0])
