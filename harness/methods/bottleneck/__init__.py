"""Bottleneck adapters as a method of PEFT's own: importing this module registers them.

A bottleneck stands behind a sublayer and makes h + up(activation(down(h))) of its output h (Houlsby et al. 2019,
"Parameter-Efficient Transfer Learning for NLP"). PEFT has none, so it is taught one; then all of its interface works:

    import harness.methods.bottleneck  # before an adapter is loaded, or PEFT does not know its type
    from peft import PeftModel

    model = PeftModel.from_pretrained(base, folder)
"""

from __future__ import annotations

from peft.utils import PeftType, register_peft_method

from harness.methods.bottleneck.config import NAME, BottleneckConfig
from harness.methods.bottleneck.layer import BottleneckLayer
from harness.methods.bottleneck.model import BottleneckModel


def _register() -> None:
    """Name the type in PEFT's list, and say which classes belong to it; doing so again changes nothing."""
    if NAME in PeftType.__members__:
        return
    # PEFT registers only types of this enumeration, and Python has no way to add a member to one that is closed.
    member = str.__new__(PeftType, NAME)
    member._name_ = member._value_ = NAME
    type.__setattr__(PeftType, NAME, member)
    PeftType._member_map_[NAME] = PeftType._value2member_map_[NAME] = member
    PeftType._member_names_.append(NAME)
    register_peft_method(name=NAME.lower(), config_cls=BottleneckConfig, model_cls=BottleneckModel)


_register()

__all__ = ["BottleneckConfig", "BottleneckLayer", "BottleneckModel"]
