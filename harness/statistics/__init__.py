"""Paired statistics over rows: pure functions, numpy in, numbers out, the source beside each."""

from harness.statistics.evidence import Evidence
from harness.statistics.flips import Alternative, Flips, draw_flips
from harness.statistics.jackknife import SHARES, share_by_row, share_of_sums
from harness.statistics.power import POWER, are_alike, can_decide
from harness.statistics.yes_no import is_yes_no

__all__ = [
    "POWER",
    "SHARES",
    "Alternative",
    "Evidence",
    "Flips",
    "are_alike",
    "can_decide",
    "draw_flips",
    "is_yes_no",
    "share_by_row",
    "share_of_sums",
]
