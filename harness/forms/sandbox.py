"""Arithmetic of a template within bounds: a product of huge numbers is one call, which nothing can stop on its way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedEnvironment

MOST_BITS = 10_000
"""Of a number; no template of a chat counts so far."""
MOST_ENTRIES = 10_000_000
"""Of a text or list that is repeated."""


@contextmanager
def small_products() -> Iterator[None]:
    """In the block, templates that are compiled and rendered in the sandbox make no huge numbers, texts or lists.

    transformers makes the sandbox out of sight, so it is its class that is changed, and changed back.
    """
    sandbox: Any = ImmutableSandboxedEnvironment
    sandbox.intercepted_binops, sandbox.call_binop = frozenset({"*", "**"}), _multiply
    try:
        yield
    finally:
        del sandbox.intercepted_binops, sandbox.call_binop


def _multiply(sandbox: SandboxedEnvironment, context: Context, operator: str, left: Any, right: Any) -> Any:
    if _measure(operator, left, right) > 1:
        raise SecurityError(
            f"{operator} would make more than {MOST_BITS} bits, or {MOST_ENTRIES} characters or entries"
        )
    return SandboxedEnvironment.call_binop(sandbox, context, operator, left, right)


def _measure(operator: str, left: Any, right: Any) -> float:
    """How much would be made, as a share of what is allowed."""
    if isinstance(left, int) and isinstance(right, int):
        bits = left.bit_length() * max(right, 0) if operator == "**" else left.bit_length() + right.bit_length()
        return bits / MOST_BITS if bits < 1 << 62 else float("inf")
    for times, repeated in ((left, right), (right, left)):
        if isinstance(times, int) and hasattr(repeated, "__len__"):
            return min(max(times, 0), 1 << 62) * len(repeated) / MOST_ENTRIES
    return 0.0
