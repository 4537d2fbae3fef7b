"""The pytest plugin, tried by real inner sessions."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from harness.baselines import Baseline, store_baseline
from harness.data.source import newsroom_rows
from harness.tasks.summarization import SUMMARIZATION
from tests.arms import make_arm
from tests.small import LEARNS, SMALL


@pytest.fixture(autouse=True)
def outside_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """In CI no baseline may be stored."""
    monkeypatch.delenv("CI", raising=False)


def write_experiment(folder: Path, settings: dict[str, object]) -> None:
    """A harness.toml with these settings on top of the embedded experiment's."""
    groups: dict[str, list[str]] = {"training": ["learning_rate = 2e-3"]}
    for name, value in settings.items():
        group, key = name.split(".")
        groups.setdefault(group, []).append(f"{key} = {json.dumps(value)}")
    lines = ['name = "mine"', *[line for name, keys in groups.items() for line in (f"[{name}]", *keys)]]
    (folder / "harness.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


USES_FIXTURES = """
def test_arms(harness_run, harness_base, harness_tuned, harness_verdict, harness_experiment):
    assert harness_run.base is harness_base
    assert harness_run.tuned is harness_tuned
    assert harness_verdict.comparisons.tuned_base.rows == harness_experiment.data.eval_rows
    assert harness_base.manifest.experiment == "mine"

def test_once(harness_run, pytestconfig):
    print("ENDED", harness_run.seconds)

def test_again(harness_run):
    print("ENDED", harness_run.seconds)
"""


@pytest.mark.usefixtures("libraries")
def test_fixtures_share_one_run(pytester: pytest.Pytester) -> None:
    """Run, arms and verdict are computed once a session, from the harness.toml of the root folder."""
    write_experiment(pytester.path, SMALL)
    pytester.makepyfile(USES_FIXTURES)
    result = pytester.runpytest_inprocess("-s")
    result.assert_outcomes(passed=3)
    assert len(set(re.findall(r"ENDED (.*)", result.stdout.str()))) == 1
    assert not (pytester.path / "runs").exists()


def test_requirements_become_tests(pytester: pytest.Pytester) -> None:
    """With --harness-check each requirement is one test; a failed one prints the table and what to do."""
    require = ["tuned must beat base on rouge1", "no metric may regress against the stored baseline"]
    write_experiment(pytester.path, {**LEARNS, "gate.require": require})
    # Old matplotlib brings warnings about its own parser.
    result = pytester.runpytest_subprocess("--harness-check", "-W", "ignore::DeprecationWarning")
    assert result.parseoutcomes() == {"passed": 1, "not": 1}
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "*NOT COMPARABLE: mine: no metric may regress against the stored baseline*",
            '*"no metric may regress against the stored baseline" not comparable: no baseline is stored*',
            "*metric*base*tuned*delta*",
            "*harness baseline accept mine*",
        ]
    )
    result.stdout.fnmatch_lines(["*1 passed, 1 not comparable*"])
    assert "Traceback" not in result.stdout.str()


@pytest.mark.slow
@pytest.mark.usefixtures("libraries")
def test_update_stores_the_baseline_and_the_next_session_passes(pytester: pytest.Pytester) -> None:
    """--harness-update-baselines writes both arms; afterwards the check compares with them and is green."""
    require = ["no metric may regress against the stored baseline", "base must not drift"]
    write_experiment(pytester.path, {**SMALL, "gate.require": require})
    result = pytester.runpytest_inprocess("--harness-update-baselines")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["harness: stored *mine"])
    assert (pytester.path / "baselines" / "mine" / "tuned" / "rows.jsonl").is_file()
    pytester.runpytest_inprocess("--harness-check").assert_outcomes(passed=2)
    assert len(list((pytester.path / "runs" / "mine").iterdir())) == 2
    rows = pytester.path / "baselines" / "mine" / "base" / "rows.jsonl"
    rows.write_text(rows.read_text(encoding="utf-8").replace("output", "0utput", 1), encoding="utf-8")
    damaged = pytester.runpytest_inprocess("--harness-check")
    damaged.assert_outcomes(failed=2)
    damaged.stdout.fnmatch_lines(["*BaselineError: *rows.jsonl does not match its own hash*"])
    assert "During handling" not in damaged.stdout.str()
    assert "the run's outputs and report are in" not in damaged.stdout.str()


@pytest.mark.usefixtures("libraries")
def test_users_faults_need_no_traceback(pytester: pytest.Pytester) -> None:
    """A missing file or a sentence that is not understood fails each test with one message, and runs once only."""
    write_experiment(pytester.path, {**SMALL, "data.source": "none.csv"})
    pytester.makepyfile("def test_one(harness_run): pass\n\ndef test_two(harness_tuned): pass")
    result = pytester.runpytest_inprocess("--harness-check")
    result.assert_outcomes(errors=2, failed=1)
    result.stdout.fnmatch_lines(["*DataError: There is no file none.csv*"])
    assert "Traceback" not in result.stdout.str()
    assert len(result.outlines) < 40


@pytest.mark.slow
@pytest.mark.usefixtures("libraries")
def test_experiment_is_found_from_below(pytester: pytest.Pytester) -> None:
    """Started in tests/, the session takes the harness.toml above it, and paths in it are meant from there."""
    write_experiment(pytester.path, {**SMALL, "data.source": "rows.jsonl"})
    lines = [
        json.dumps({"input": row.input, "target": row.target}) + "\n" for row in newsroom_rows(SUMMARIZATION, 24, 5)
    ]
    (pytester.path / "rows.jsonl").write_text("".join(lines), encoding="utf-8")
    below = pytester.mkdir("tests")
    (below / "test_it.py").write_text(
        "def test(harness_run):\n    assert harness_run.experiment.name == 'mine'\n", encoding="utf-8"
    )
    pytester.runpytest_inprocess("--rootdir", str(below), str(below)).assert_outcomes(passed=1)


@pytest.mark.slow
@pytest.mark.usefixtures("libraries")
def test_spoilt_tuning_goes_red(pytester: pytest.Pytester) -> None:
    """Training that teaches nothing fails the requirement, with the reason in the first line, and is never stored."""
    write_experiment(pytester.path, {**SMALL, "training.weight_decay": 0.0})
    text = (pytester.path / "harness.toml").read_text(encoding="utf-8").replace("2e-3", "1e-9")
    (pytester.path / "harness.toml").write_text(text, encoding="utf-8")
    result = pytester.runpytest_inprocess("--harness-check")
    result.stdout.fnmatch_lines(["*1 identical*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(['*"tuned must beat base on rouge1" identical: all 8 outputs are equal*'])
    refused = pytester.runpytest_inprocess("--harness-update-baselines")
    refused.assert_outcomes(failed=1)
    refused.stdout.fnmatch_lines(["*BaselineError: Base and tuned say the same in all 8 rows*"])
    assert "stored the baseline" not in refused.stdout.str()
    assert not (pytester.path / "baselines").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--harness-experiment", "none.toml"], "*There is no file none.toml*"),
        (["--harness-experiment", "seed-notebok"], '*Did you mean "seed-notebook"*'),
    ],
)
def test_unknown_experiment_is_a_usage_error(pytester: pytest.Pytester, options: list[str], message: str) -> None:
    """A typo in an option ends the session with pytest's own usage error, before any test."""
    result = pytester.runpytest_inprocess("--harness-check", *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


def test_experiment_can_be_named_by_option_and_ini(pytester: pytest.Pytester) -> None:
    """The command line comes before the ini file, and paths are those of the root folder."""
    write_experiment(pytester.path, SMALL)
    (pytester.path / "harness.toml").rename(pytester.path / "other.toml")
    pytester.makeini("[pytest]\nharness_experiment = other.toml")
    pytester.makepyfile(
        'def test(harness_experiment, request): assert harness_experiment.name == request.config.getini("want")'
    )
    pytester.makeconftest('def pytest_addoption(parser): parser.addini("want", "", default="mine")')
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
    result = pytester.runpytest_subprocess("--harness-experiment", "seed-notebook", "-o", "want=seed-notebook")
    result.assert_outcomes(passed=1)


@pytest.mark.slow
def test_workers_share_one_run(pytester: pytest.Pytester) -> None:
    """Under xdist two workers train once between them."""
    pytest.importorskip("xdist")
    write_experiment(pytester.path, SMALL)
    tests = "".join(
        f"def test_{n}(harness_run, tmp_path_factory):\n"
        f"    (tmp_path_factory.getbasetemp().parent / 'seen-{n}').write_text(str(harness_run.seconds))\n"
        for n in range(4)
    )
    pytester.makepyfile(tests)
    result = pytester.runpytest_subprocess("-n", "2", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=4)
    seen = {path.read_text(encoding="utf-8") for path in pytester.path.parent.rglob("seen-*")}
    assert len(seen) == 1


def test_session_without_the_harness_pays_nothing(pytester: pytest.Pytester) -> None:
    """A session that uses none of it loads neither torch nor numpy, and has no more tests than it wrote."""
    pytester.makepyfile(
        "import sys\ndef test():\n    assert not {'torch', 'transformers', 'numpy', 'pydantic'} & set(sys.modules)"
    )
    # hypothesis and the benchmark plugin are not ours to judge.
    result = pytester.runpytest_subprocess("-p", "no:hypothesispytest", "-p", "no:benchmark")
    result.assert_outcomes(passed=1)


@pytest.mark.slow
@pytest.mark.usefixtures("libraries")
def test_missing_baseline_is_created_and_the_stored_one_stays(pytester: pytest.Pytester) -> None:
    """--harness-create-baselines stores where nothing is stored; the next such session compares and stores nothing."""
    require = ["no metric may regress against the stored baseline"]
    write_experiment(pytester.path, {**SMALL, "gate.require": require})
    pytester.runpytest_inprocess("--harness-create-baselines").assert_outcomes(passed=1)
    approval = pytester.path / "baselines" / "mine" / "approval.json"
    before = approval.read_bytes()
    write_experiment(pytester.path, {**SMALL, "gate.require": require, "training.epochs": 1})
    result = pytester.runpytest_inprocess("--harness-create-baselines")
    assert "harness: stored" not in result.stdout.str()
    assert approval.read_bytes() == before


@pytest.mark.slow
@pytest.mark.usefixtures("libraries")
def test_update_needs_a_reason_and_shows_what_changed(pytester: pytest.Pytester) -> None:
    """Replacing without --harness-why is refused before anything is trained; with it, scores and rows are shown."""
    require = ["no metric may regress against the stored baseline"]
    write_experiment(pytester.path, {**SMALL, "gate.require": require})
    pytester.runpytest_inprocess("--harness-update-baselines").assert_outcomes(passed=1)
    write_experiment(pytester.path, {**SMALL, "gate.require": require, "training.epochs": 1})
    refused = pytester.runpytest_inprocess("--harness-update-baselines")
    refused.assert_outcomes(failed=1)
    refused.stdout.fnmatch_lines(["*BaselineError: *no reason is given*"])
    assert len(list((pytester.path / "runs" / "mine").iterdir())) == 1
    told = pytester.runpytest_inprocess("--harness-update-baselines", "--harness-why", "shorter")
    told.assert_outcomes(passed=1)
    told.stdout.fnmatch_lines(["harness: stored *", "new tuned vs stored tuned: *", "*stored: *", "*new: *"])
    assert '"why": "shorter"' in (pytester.path / "baselines" / "mine" / "approval.json").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.usefixtures("libraries")
def test_update_is_refused_in_ci(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """With CI set, storing fails before anything is trained, unless forced."""
    write_experiment(pytester.path, SMALL)
    monkeypatch.setenv("CI", "true")
    result = pytester.runpytest_inprocess("--harness-update-baselines")
    result.stdout.fnmatch_lines(["*BaselineError: The variable CI is set*"])
    assert not (pytester.path / "runs").exists()
    forced = pytester.runpytest_inprocess("--harness-update-baselines", "--harness-force")
    forced.stdout.fnmatch_lines(["harness: stored *"])


def test_orphans_fail(pytester: pytest.Pytester) -> None:
    """A stored baseline of no experiment fails the session where that is asked for, and is named."""
    write_experiment(pytester.path, SMALL)
    for name in ("mine", "gone"):
        base, tuned = make_arm([1.0], experiment=name), make_arm([2.0], experiment=name, role="tuned", outputs=["t"])
        store_baseline(pytester.path / "baselines", Baseline(base=base, tuned=tuned))
    result = pytester.runpytest_inprocess("--harness-forbid-orphans")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*No experiment asks for *gone: *"])


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ("no change", "no change"),
        ("undecided", "inconclusive"),
        ("not comparable", "not comparable"),
        ("identical", "identical"),
    ],
)
def test_each_verdict_has_an_outcome_of_its_own(pytester: pytest.Pytester, status: str, word: str) -> None:
    """What neither holds nor fails is counted under its own word, fails the session, and its reason is printed."""
    pytester.makeconftest(
        """
from harness.pytest_outcomes import print_outcomes
pytest_terminal_summary = print_outcomes
"""
    )
    pytester.makepyfile(
        f"""
import pytest
from harness.pytest_outcomes import PROPERTY
def test(request):
    request.node.user_properties.append((PROPERTY, {status!r}))
    pytest.fail("the reason", pytrace=False)
"""
    )
    result = pytester.runpytest_inprocess("-v")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"*::test {word.upper()}*", "the reason", f"*1 {word}*"])
    assert " failed" not in result.stdout.str()
