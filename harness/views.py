"""How runs, arms, comparisons and verdicts show themselves in a notebook: named here, so that none of them has to know
the reports, which are above them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.registry import Registry

VIEWS: Registry[Callable[[Any], str]] = Registry(
    "notebook view",
    {name: f"harness.report.notebook:show_{name}" for name in ("arm", "comparison", "run", "verdict")},
)
"""Each takes its object and returns HTML in which every text is escaped."""
