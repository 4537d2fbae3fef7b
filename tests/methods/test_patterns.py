"""Patterns in the settings of an adapter that comes from elsewhere."""

from __future__ import annotations

import pytest
from peft import LoraConfig

from harness.errors import ModelError
from harness.methods.patterns import require_quick_patterns


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+b",
        "(a|a)*b",
        ".*.*.*.*q",
        "a{1,9}" * 4,
        ".?" * 40 + "Q",
        r"\d??" * 4,
        "(a|b)?" * 4,
        r"\(?" * 4,
        "a*\n" * 4,
    ],
)
def test_pattern_that_may_be_matched_for_ever_is_refused(pattern: str) -> None:
    """Repeated groups and many repetitions, those of at most once included, and the message shows the pattern."""
    with pytest.raises(ModelError, match=r"target_modules = .*List the ends"):
        require_quick_patterns(LoraConfig(target_modules=pattern), "there")


@pytest.mark.parametrize(
    "pattern",
    [
        "q",
        ".*decoder.*(q|v)",
        r".*\.(?:q|k|v)_proj",
        "(?:a)(?:b)(?:c)(?:d)(?=e)(?!f)",
        r"layers?\.\d+\.q",
        r"(model\.)?q",
    ],
)
def test_pattern_that_is_matched_at_once_is_taken(pattern: str) -> None:
    """Names, choices and the marks of groups are no repetitions."""
    require_quick_patterns(LoraConfig(target_modules=pattern), "there")
