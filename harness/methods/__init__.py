"""How weights change: one module a method."""

from harness.methods.method import Adapted, Course, Method
from harness.registry import Registry

METHODS: Registry[Method] = Registry(
    "method",
    {
        "full": "harness.methods.full:tune",
        "rlhf": "harness.methods.rlhf.tune:tune",
    },
)

__all__ = ["METHODS", "Adapted", "Course", "Method"]
