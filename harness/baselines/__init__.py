"""The store of approved arms: ``baselines/<experiment>/``, reviewed in git."""

from harness.baselines.approval import APPROVAL_FILE, Approval
from harness.baselines.orphans import find_orphans, find_settings, known_experiments, prune
from harness.baselines.review import Review, review, say_review
from harness.baselines.store import (
    DEFAULT_FOLDER,
    Baseline,
    list_baselines,
    newest_run,
    places,
    read_baseline,
    read_run,
    require_storable,
    store_baseline,
)

__all__ = [
    "APPROVAL_FILE",
    "DEFAULT_FOLDER",
    "Approval",
    "Baseline",
    "Review",
    "find_orphans",
    "find_settings",
    "known_experiments",
    "list_baselines",
    "newest_run",
    "places",
    "prune",
    "read_baseline",
    "read_run",
    "require_storable",
    "review",
    "say_review",
    "store_baseline",
]
