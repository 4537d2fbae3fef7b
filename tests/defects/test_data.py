"""Every defect of data and tokenization is caught and named."""

from __future__ import annotations

import pytest

from harness.checks.check import Check
from harness.checks.suite import all_checks, audit
from harness.defects import data, tokenization
from harness.defects.defect import Defect
from tests.checks.stage import FRESH, first_checks, reference

ARMS = "arms-are-scored-on-the-same-rows"
CAUGHT = {
    "train-eval-exact-overlap": "splits-share-no-rows",
    "near-duplicate-benchmark-leak": "splits-share-no-rows",
    "chunk-split-leak": "groups-stay-in-one-split",
    "unstable-hash-split": FRESH,
    "stale-hub-or-file-cache": "files-are-read-anew",
    "stale-preprocessing-cache": "rows-are-encoded-anew",
    "unpinned-dataset-revision": ARMS,
    "fewshot-demo-is-the-eval-item": "prompts-hold-no-answers",
    "eval-rows-silently-dropped": "every-evaluation-row-is-scored",
    "placeholder-test-labels": "targets-of-all-splits-are-real",
    "missing-eos-seq2seq-target": "targets-are-closed",
    "double-bos-training": "sequences-begin-once",
    "train-inference-prompt-skew": "training-and-generation-prompts-are-the-same",
    "target-truncation-drops-tail": "targets-are-not-cut",
    "prompt-truncated-on-wrong-side": "long-prompts-keep-both-ends",
    "eval-context-left-truncated": "the-model-reads-whole-prompts",
    "missing-task-prefix": "inputs-begin-with-the-prefix",
    "newline-lost-in-sentencepiece": "targets-survive-tokenization",
    "slow-fast-tokenizer-mismatch": "training-and-generation-prompts-are-the-same",
    "wrong-tokenizer-for-model": "the-model-knows-the-tokenizer",
    "mbart-language-code-wrong": "targets-name-their-language-first",
    "prompt-completion-boundary-merge": "completions-begin-at-a-token-border",
    "qa-window-skips-tokens": "windows-cover-the-context",
}
DEFECTS = {
    value.name: value for module in (data, tokenization) for value in vars(module).values() if isinstance(value, Defect)
}


def chosen(name: str) -> tuple[Check, ...]:
    """The checks of data and tokens, and the one that this defect is for."""
    fresh = name == "unstable-hash-split"
    return (*first_checks(fresh=fresh), *(check for check in all_checks() if check.name == ARMS))


@pytest.mark.parametrize("name", CAUGHT)
def test_a_planted_defect_is_caught_and_named_first(name: str) -> None:
    """The check that is meant for the defect fails, and the defect is the first suspect of all checks together."""
    report = audit(DEFECTS[name].plant(reference(DEFECTS[name].reference)), checks=chosen(name))
    assert CAUGHT[name] in {result.check.name for result in report.bad}
    assert report.suspects[0] == name
    assert not [result for result in report.bad if result.traceback]


def test_every_defect_and_every_check_is_tried() -> None:
    """No defect of the two stages is without a test, and no check but that of labels is without a defect."""
    assert set(DEFECTS) == set(CAUGHT)
    assert {check.name for check in first_checks(fresh=True)} - set(CAUGHT.values()) == {
        "windows-point-at-their-answers"
    }
