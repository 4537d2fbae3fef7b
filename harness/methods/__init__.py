"""How weights change: one module a method."""

from harness.methods.method import Method
from harness.registry import Registry

METHODS: Registry[Method] = Registry("method", {"full": "harness.methods.full:tune"})

__all__ = ["METHODS", "Method"]
