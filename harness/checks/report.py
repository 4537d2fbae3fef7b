"""What an audit found."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from harness.checks.check import Result, Status

BAD = (Status.FAILED, Status.ERROR, Status.STALE)


@dataclass(frozen=True, kw_only=True)
class AuditReport:
    """The results of all checks on one pipeline, in the order of the chain.

    Args:
        pipeline: its name.
        results: one for each check.
    """

    pipeline: str
    results: tuple[Result, ...]

    @property
    def passed(self) -> bool:
        """Whether no check failed and at least one had something to look at."""
        return self.counts[Status.PASSED] > 0 and not self.bad

    @property
    def bad(self) -> tuple[Result, ...]:
        """The results that need attention: failures, errors and stale expected failures."""
        return tuple(result for result in self.results if result.status in BAD)

    @property
    def counts(self) -> Counter[Status]:
        """How many checks ended which way."""
        return Counter(result.status for result in self.results)

    @property
    def suspects(self) -> tuple[str, ...]:
        """The likely defects of the whole pipeline, the likeliest first.

        Each failed check gives its first suspect a whole vote, its second a half, its third a third, and so on. Of
        equal ones the first in the chain comes first: a broken link breaks those behind it.
        """
        votes: dict[str, float] = {}
        for result in self.results:
            for place, suspect in enumerate(result.suspects, start=1):
                votes[suspect] = votes.get(suspect, 0.0) + 1 / place
        return tuple(sorted(votes, key=lambda suspect: -votes[suspect]))

    def say_counts(self) -> str:
        """How many checks ended which way, in words."""
        counted = ", ".join(f"{number} {status}" for status, number in self.counts.items())
        nothing = not any(self.counts[status] for status in Status if status is not Status.SKIPPED)
        return f"nothing could be checked ({counted or 'no checks'})" if nothing else counted

    def as_json(self) -> dict[str, Any]:
        """The report as plain values."""
        return {
            "pipeline": self.pipeline,
            "passed": self.passed,
            "counts": {str(status): self.counts[status] for status in Status},
            "suspects": list(self.suspects),
            "results": [
                {
                    "check": result.check.name,
                    "claim": result.check.claim,
                    "family": result.check.family,
                    "stage": result.check.stage,
                    "status": str(result.status),
                    "seen": result.seen,
                    "suspects": list(result.suspects),
                    "remedy": result.remedy,
                    "traceback": result.traceback,
                    "seconds": result.seconds,
                }
                for result in self.results
            ],
        }

    def __str__(self) -> str:
        lines = [f"{self.pipeline}: {self.say_counts()}"]
        if self.suspects:
            lines.append(f"most likely: {', '.join(self.suspects[:3])}")
        return "\n".join([*lines, *(str(result) for result in self.bad)])
