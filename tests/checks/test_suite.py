"""Running checks: whatever a pipeline does, each check ends with a result of its own."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.checks.check import Check, CheckFailed, CheckSkipped, PartError, Result, Status
from harness.checks.evidence import Evidence
from harness.checks.pipeline import Declared, Pipeline
from harness.checks.report import AuditReport
from harness.checks.suite import all_checks, audit, choose_checks, load_pipeline, run_check
from harness.errors import NameUnknownError, SettingsError


def make_check(run: object, name: str = "probe", needs: tuple[str, ...] = ()) -> Check:
    return Check(name=name, claim="", family="I0", stage="data", needs=needs, run=run)  # type: ignore[arg-type]


def raise_error(evidence: Evidence) -> str:
    return str(evidence.call("encode", []))


def test_check_without_its_parts_is_skipped_with_the_reason() -> None:
    """A missing part is named, and the check does not run."""
    result = run_check(make_check(raise_error, needs=("encode",)), Evidence(Pipeline()))
    assert (result.status, result.seen) == (Status.SKIPPED, "the pipeline has no encode")


def test_error_of_a_part_shows_the_users_own_traceback() -> None:
    """The user's frame is shown, the frames of the checks are not."""

    def encode(rows: list[object]) -> object:
        raise ValueError("no such column: docu")

    result = run_check(make_check(raise_error), Evidence(Pipeline(encode=encode)))
    assert result.status is Status.ERROR
    assert result.seen == "ValueError: no such column: docu"
    assert "in encode" in result.traceback
    assert "evidence.py" not in result.traceback


@pytest.mark.parametrize("hang", [lambda: time.sleep(30), lambda: [None for _ in iter(int, 1)]], ids=["sleep", "loop"])
def test_part_that_hangs_is_given_up(hang: object) -> None:
    """A part that does not come back costs its own check alone, also where it swallows exceptions."""

    def encode(rows: list[object]) -> object:
        while True:
            try:
                hang()  # type: ignore[operator]
            except Exception:  # noqa: BLE001, S112 - what a careless user writes
                continue

    began = time.perf_counter()
    result = run_check(make_check(raise_error), Evidence(Pipeline(encode=encode)), seconds=0.3)
    assert result.status is Status.ERROR
    assert "no answer within 0.3 s" in result.seen
    assert time.perf_counter() - began < 5


def test_part_that_ends_the_program_is_an_error() -> None:
    """SystemExit inside a part is that check's error, and the audit goes on."""

    def encode(rows: list[object]) -> object:
        sys.exit(3)

    report = audit(Pipeline(encode=encode), checks=[make_check(raise_error), make_check(lambda _: "fine", "other")])
    assert [result.status for result in report.results] == [Status.ERROR, Status.PASSED]


@pytest.mark.parametrize(
    ("part", "value", "word"),
    [
        ("encode", 5, "list of mappings"),
        ("encode", "text", "list of mappings"),
        ("encode", {"input_ids": [[1]], "labels": []}, "unequal lengths"),
        ("splits", [1, 2], "mapping of names to rows"),
    ],
)
def test_wrong_kind_of_value_says_what_is_expected(part: str, value: object, word: str) -> None:
    """A part that returns something else is told what it should return."""
    evidence = Evidence(Pipeline(**{part: lambda *_: value}))
    with pytest.raises(PartError, match=word):
        _ = evidence.splits() if part == "splits" else evidence.features([])


def test_parts_get_only_the_keywords_that_they_take() -> None:
    """The same call works for functions with and without options."""
    plain = Evidence(Pipeline(train=lambda model, rows: (model, len(rows))))
    rich = Evidence(Pipeline(train=lambda model, rows, *, seed: (model, seed)))
    open_ended = Evidence(Pipeline(train=lambda model, rows, **options: sorted(options)))
    assert plain.call("train", "m", [1], seed=3, epochs=2) == ("m", 1)
    assert rich.call("train", "m", [1], seed=3, epochs=2) == ("m", 3)
    assert open_ended.call("train", "m", [1], seed=3, epochs=2) == ["epochs", "seed"]
    with pytest.raises(CheckSkipped, match="train takes no seed"):
        plain.require("train", "seed")


def test_expected_failure_that_passes_is_itself_a_failure() -> None:
    """A stale expected failure is bad, one that still fails is not, and a skipped one says nothing."""
    chosen = choose_checks(only=["perfect-outputs-score-the-maximum"])
    reason = {"perfect-outputs-score-the-maximum": "known"}
    rows = {"train": [{"input": "a", "target": f"text number {n}"} for n in range(4)]}
    right = Pipeline(splits=lambda: rows, metric=lambda o, r: sum(map(str.__eq__, o, r)) / len(r))
    wrong = replace(right, metric=lambda o, r: 0.5)
    statuses = [
        audit(one, checks=chosen, expected_failures=reason).results[0].status for one in (right, wrong, Pipeline())
    ]
    assert statuses == [Status.STALE, Status.EXPECTED, Status.SKIPPED]
    assert not audit(right, checks=chosen, expected_failures=reason).passed
    with pytest.raises(NameUnknownError, match="Did you mean"):
        audit(right, expected_failures={"perfect-output-score-the-maximum": "typo"})


def test_nothing_checked_is_no_pass() -> None:
    """An audit in which every check was skipped does not pass."""
    assert not audit(Pipeline()).passed
    assert all(result.status is Status.SKIPPED for result in audit(Pipeline()).results)


def test_checks_have_names_claims_and_families() -> None:
    """Names are unique, each check says in one line what it claims, and needs parts that exist."""
    checks = all_checks()
    assert len({check.name for check in checks}) == len(checks)
    for check in checks:
        assert check.claim, check.name
        assert check.family in {f"I{number}" for number in range(16)}, check.name
        for path in check.needs:
            Pipeline().part(path)


@given(st.lists(st.lists(st.sampled_from("abcde"), unique=True, max_size=4), max_size=6))
def test_first_suspects_win_the_vote(votes: list[list[str]]) -> None:
    """A suspect that is first wherever it is named, and named in every failure, is the likeliest."""
    results = [
        Result(check=make_check(None), status=Status.FAILED, seen="", suspects=("sure", *names)) for names in votes
    ]
    report = AuditReport(pipeline="p", results=tuple(results))
    assert report.suspects[:1] == (("sure",) if votes else ())
    assert set(report.suspects) == {name for names in votes for name in names} | ({"sure"} if votes else set())


def test_book_keeps_parts_of_remembered_values() -> None:
    """What was computed earlier still counts as looking at the parts that it came from."""
    evidence = Evidence(Pipeline(encode=lambda rows: rows, declared=Declared(level=0.1)))
    for _ in range(2):
        with evidence.keep_book() as book:
            evidence.remember("x", lambda: (evidence.call("encode", []), evidence.declared("level")))
        assert book == {"encode", "declared.level"}


def test_pipeline_is_found_by_module_and_by_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``module:attribute`` and ``file.py:attribute`` name a pipeline, or a function that makes one."""
    (tmp_path / "mine_abc.py").write_text(
        "from harness import Pipeline\nP = Pipeline(name='p')\ndef make():\n    return P\nX = 3\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert load_pipeline("mine_abc:P").name == "p"
    assert load_pipeline(f"{tmp_path / 'mine_abc.py'}:make").name == "p"
    for wrong, word in (("mine_abc", "names no pipeline"), ("mine_abc:Q", "cannot be imported"),
                        ("no_such_module_x:P", "cannot be imported"), ("mine_abc:X", "is a int")):  # fmt: skip
        with pytest.raises(SettingsError, match=word):
            load_pipeline(wrong)


def test_failed_check_carries_suspects_and_remedy() -> None:
    """What a check raises is what its result says."""

    def run(evidence: Evidence) -> str:
        raise CheckFailed("3 of 8", suspects=("a", "b"), remedy="Mend it.")

    result = run_check(make_check(run), Evidence(Pipeline()))
    assert (result.seen, result.suspects, result.remedy) == ("3 of 8", ("a", "b"), "Mend it.")
    assert "likely: a, b" in str(result)


def test_modules_beside_the_file_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipeline's file may import what lies beside it, wherever it is loaded from."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "own_helpers_xyz.py").write_text("NAME = 'beside'\n", encoding="utf-8")
    (tmp_path / "own.py").write_text(
        "from harness import Pipeline\nfrom own_helpers_xyz import NAME\nP = Pipeline(name=NAME)\n", encoding="utf-8"
    )
    assert load_pipeline(f"{tmp_path / 'own.py'}:P").name == "beside"
