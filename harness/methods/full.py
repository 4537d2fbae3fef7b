"""Full fine-tuning: every weight may move."""

from __future__ import annotations

from harness.training import fine_tune as tune

__all__ = ["tune"]
