"""What two arms differ in, where one of them was stored before a setting existed."""

from __future__ import annotations

from harness.config import TrainingSettings
from harness.differences import find_circumstances
from tests.arms import make_arm

NOW = TrainingSettings().model_dump()
BEFORE = {name: value for name, value in NOW.items() if name not in {"accumulation", "patience"}}


def test_setting_that_did_not_exist_had_its_default() -> None:
    """A baseline from before the setting is no other circumstance, until the setting is changed."""
    stored = make_arm([1.0], role="tuned", training=BEFORE)
    assert find_circumstances(make_arm([1.0], role="tuned", training=NOW), stored) == ()
    changed = make_arm([1.0], role="tuned", training={**NOW, "accumulation": 4})
    assert find_circumstances(changed, stored) == ("accumulation 1 → 4",)
