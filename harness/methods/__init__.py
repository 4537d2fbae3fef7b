"""How a model is adapted: one module a method."""

from collections.abc import Callable, Sequence

from harness.data.rows import Row
from harness.forms import Form
from harness.methods.method import Adapted, Course, Method
from harness.registry import Registry

METHODS: Registry[Method] = Registry(
    "method",
    {
        "full": "harness.methods.full:tune",
        "prompt": "harness.methods.prompt:tune",
        "lora": "harness.methods.lora:tune",
        "adapters": "harness.methods.adapters:tune",
        "rlhf": "harness.methods.rlhf.tune:tune",
    },
)
ASKING: Registry[Callable[[Form, Sequence[Row]], Form]] = Registry(
    "way of asking", {"prompt": "harness.methods.prompt:ask_by_prompt"}
)
"""For methods that change how the model is asked: from the base's form and the training rows to the new form."""

FITTING: Registry[Callable[[Course], None]] = Registry(
    "need of a method",
    {
        "prompt": "harness.methods.prompt:require_fit",
        "lora": "harness.methods.lora:require_fit",
        "adapters": "harness.methods.adapters:require_fit",
        "rlhf": "harness.methods.rlhf.tune:require_fit",
    },
)
"""For methods that do not fit every model, task or setting: raises a `UsageError` before anything is scored."""

__all__ = ["ASKING", "FITTING", "METHODS", "Adapted", "Course", "Method"]
