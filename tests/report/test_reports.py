"""Reports: whole, escaped, and the same facts in each."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from harness.arm import Arm
from harness.atomic import locked
from harness.baselines import Baseline
from harness.config import Experiment
from harness.errors import UsageError
from harness.experiment import Run
from harness.gate import judge
from harness.report.account import give_account
from harness.report.facts import describe_run
from harness.report.folder import require_writable, write_run
from harness.report.html import write_html
from harness.report.markdown import write_markdown
from harness.report.terminal import print_run, render_facts
from harness.report.wording import say_headline
from harness.requirements import parse_requirement
from harness.tuning import Cost
from tests.arms import make_arm
from tests.runs import make_run


def render(run: Run, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, no_color=True)
    print_run(run, console)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


@pytest.fixture(scope="module")
def better() -> Run:
    rng = np.random.default_rng(0)
    return make_run(rng.normal(20, 5, 50).tolist(), rng.normal(40, 5, 50).tolist())


def test_terminal_says_headline_table_requirements_and_next_step(better: Run) -> None:
    """The four parts stand in that order and fit 80 columns."""
    text = render(better)
    parts = [
        "x   IMPROVED   tuned vs base, 50 rows, paired",
        "rouge1",
        "✓ tuned must beat base",
        "harness baseline accept x",
    ]
    assert [text.index(part) for part in parts] == sorted(text.index(part) for part in parts)
    assert max(map(len, text.splitlines())) <= 80


def test_terminal_keeps_names_and_numbers_whole(better: Run) -> None:
    """The longest name with the widest numbers has one line in 80 columns."""
    facts = describe_run(better)
    (entry,) = facts["comparisons"][0]["metrics"]
    wide = {**entry, "metric": "facts_invented", "delta": -76.97, "interval": [-81.98, -72.1]}
    facts["comparisons"][0]["metrics"] = [wide]
    console = Console(file=io.StringIO(), width=80, no_color=True)
    console.print(render_facts(facts, console))
    assert re.search(r"^ facts_invented .* -76\.97 .* -81\.98 … -72\.10 .*$", console.file.getvalue(), re.MULTILINE)  # type: ignore[attr-defined]


def test_every_report_says_what_training_took(better: Run) -> None:
    """Parameters, held-out losses with the epoch that was kept, peak memory and bytes to store stand in all three."""
    run = dataclasses.replace(
        better,
        trainable_parameters=135_168,
        cost=Cost(peak_bytes=180_000_000, stored_bytes=555_000),
        held_out_losses=(2.5, math.inf, 1.25, 1.5),
    )
    account = give_account(run)
    shown = (render(run, width=300), write_markdown(account), re.sub(r"<[^>]+>", "", write_html(account)))
    for text in shown:
        assert "1 rows, 2 steps, loss 3.00 → 1.00, 135,168 trainable parameters." in text
        assert "Held-out loss after each epoch: 2.50, -, 1.25 (kept), 1.50." in text
        assert "Peak memory 180 MB above what was taken before; 555 kB to store beside the base." in text
    assert "Held-out" not in render(better)
    assert "Peak memory" not in render(better)


def test_rows_that_moved_most_come_first() -> None:
    """The largest gains, then the largest losses, none that stayed; where less is better a fall is the gain."""
    account = give_account(make_run([10.0, 50.0, 30.0, 40.0, 20.0], [20.0, 20.0, 35.0, 40.0, 90.0]))
    assert [moved.row.id for moved in account.moved_rows(2)] == ["4", "0", "1"]
    manifest = account.base.manifest.model_copy(update={"lower_is_better": ("rouge1",)})
    falling = dataclasses.replace(account, base=account.base.model_copy(update={"manifest": manifest}))
    most, *others = falling.moved_rows(2)
    assert (most.row.id, most.base, most.gain, most.delta) == ("1", account.base.rows[1].output, 30, -30)
    assert [moved.row.id for moved in others] == ["4", "0"]


def test_few_rows_show_no_invented_numbers() -> None:
    """Three rows give no interval and no detectable effect, in any report, and valid JSON."""
    run = make_run([1.0, 2.0, 3.0], [5.0, 6.0, 8.0])
    assert "INCONCLUSIVE" in render(run)
    assert "inf" not in render(run)
    metric = describe_run(run)["comparisons"][0]["metrics"][0]
    assert metric["interval"] == [None, None]
    assert metric["smallest_detectable"] is None
    json.dumps(describe_run(run), allow_nan=False)
    assert "inf" not in write_markdown(give_account(run)).split("## ")[0]


@pytest.mark.parametrize(
    ("run", "advice"),
    [
        (make_run([1.0, 2.0, 3.0], [5.0, 6.0, 8.0]), "Raise data.eval_rows"),
        (make_run([50.0, 51.0] * 50, [10.0, 11.0] * 50), "row by row"),
        (make_run([1.0, 2.0], [1.0, 2.0], require="base must not drift"), "harness baseline accept x"),
    ],
)
def test_next_step_fits_the_verdict(run: Run, advice: str) -> None:
    """What to do depends on what was found."""
    assert advice in " ".join(render(run).split())
    assert advice in write_markdown(give_account(run)).replace("\\_", "_")


@pytest.mark.parametrize(
    ("run", "sentence"),
    [
        (
            make_run([50.0, 51.0] * 50, [70.0, 72.0] * 50),
            "better than its base: rouge1 went from 50.50 to 71.00",
        ),
        (
            make_run([50.0, 51.0] * 50, [10.0, 12.0] * 50),
            "worse than its base: rouge1 went from 50.50 to 11.00",
        ),
        (make_run([50.0, 51.0] * 50, [50.1, 50.9] * 50), "The tuned model is neither better nor worse"),
        (make_run([1.0, 2.0, 3.0], [5.0, 6.0, 8.0]), "3 rows are too few to tell"),
    ],
)
def test_headline_is_a_plain_sentence(run: Run, sentence: str) -> None:
    """Each outcome has a sentence that says it in words, with the numbers that it rests on."""
    assert sentence in say_headline(give_account(run).comparison, None)


def test_headline_names_the_surest_metric() -> None:
    """Of several metrics that moved the verdict's way the one is named that decided it, not that which moved most."""
    entry = {"against": 1.0, "candidate": 2.0, "interval": [0.5, 1.5]}
    metrics = [
        {"metric": "fell", "delta": -9.0, "p_adjusted": 0.001, **entry},
        {"metric": "unsure", "delta": 5.0, "p_adjusted": 0.4, **entry},
        {"metric": "sure", "delta": 1.0, "p_adjusted": 0.01, **entry},
        {"metric": "as sure", "delta": 2.0, "p_adjusted": 0.01, **entry},
    ]
    facts = {"outcome": "improved", "rows": 9, "metrics": metrics}
    assert "better than its base: sure went" in say_headline(facts, None)
    assert "better than its base: as sure went" in say_headline(facts, "as sure")
    assert "better than its base: sure went" in say_headline(facts, "unsure")
    assert "worse than its base: fell went" in say_headline({**facts, "outcome": "regressed"}, None)


def test_texts_cannot_break_out_of_markdown(better: Run) -> None:
    """Read as CommonMark, the report holds no HTML, image or link, whatever models, data and reasons say."""
    hostile = "<script> | `x` ![i](http://x.example) [l](http://x.example) <http://x.example> *b* @somebody"
    finding = dataclasses.replace(better.verdict.findings[0], reason=hostile)
    verdict = dataclasses.replace(better.verdict, findings=(finding,))
    rows = [row.model_copy(update={"output": f"{row.output} {hostile}"}) for row in better.base.rows]
    base = better.base.model_copy(update={"rows": tuple(rows)})
    text = write_markdown(give_account(dataclasses.replace(better, verdict=verdict, base=base)))
    tokens = [child for token in MarkdownIt().parse(text) for child in (token, *(token.children or ()))]
    assert not {"html_block", "html_inline", "image", "link_open"} & {token.type for token in tokens}
    assert hostile.replace("`", "'") in {
        token.content[-len(hostile) :] for token in tokens if token.type == "code_inline"
    }


def test_stored_baseline_is_reported_everywhere() -> None:
    """A stored arm with other rows is named as not comparable; an equal one as the same."""
    other = make_run([1.0] * 6, [9.0, 8.0] * 3, stored=make_arm([1.0] * 6, ids=list("abcdef")))
    for text in (" ".join(render(other).split()), write_markdown(give_account(other))):
        assert "not comparable, different rows (0 of 6 rows are the same)" in text
    same = make_run([1.0] * 6, [9.0, 8.0] * 3)
    equal = judge_against(same, same.tuned)
    assert "all 6 outputs are the same" in render(equal)


def judge_against(run: Run, stored: Arm) -> Run:
    requirements = [parse_requirement("tuned must beat base on rouge1", ("rouge1",))]
    verdict = judge(run.experiment, run.base, run.tuned, Baseline(base=stored, tuned=stored), requirements)
    return dataclasses.replace(run, verdict=verdict)


def test_run_folder_is_whole_and_readable(better: Run, tmp_path: Path) -> None:
    """Both arms read back, the ledger names each row, and two runs never share a folder."""
    first, second = write_run(better, tmp_path), write_run(better, tmp_path)
    assert first != second
    assert Arm.read(first / "base") == better.base
    assert Arm.read(first / "tuned") == better.tuned
    ledger = [json.loads(line) for line in (first / "ledger.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["split"] for line in ledger] == ["train", *["eval"] * 50]
    assert json.loads((first / "verdict.json").read_text(encoding="utf-8")) == describe_run(better)
    assert Experiment.model_validate_json((first / "experiment.json").read_text(encoding="utf-8")) == better.experiment
    assert sorted(path.name for path in (tmp_path / "x").iterdir()) == [first.name, second.name]
    assert (tmp_path / ".gitignore").read_text(encoding="utf-8") == "*\n"


def test_what_a_kill_left_half_written_goes_with_the_next_run(better: Run, tmp_path: Path) -> None:
    """It stays while another process writes runs there, and goes behind that; other folders stay."""
    home = tmp_path / better.experiment.name
    left, other = home / ".20260101T000000.000000Z-0123abcd.new", home / ".own.new"
    for folder in (left, other):
        folder.mkdir(parents=True)
        (folder / "verdict.json").write_text("{", encoding="utf-8")
    with ThreadPoolExecutor() as pool:
        with locked(tmp_path):
            writing = pool.submit(write_run, better, tmp_path)
            with pytest.raises(TimeoutError):
                writing.result(timeout=1)
            assert left.exists()
        assert writing.result().is_dir()
    assert not left.exists()
    assert other.exists()


def test_place_that_cannot_be_written_is_found_before_training(tmp_path: Path) -> None:
    """A file in the way is named; a folder that does not exist yet is fine."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match="not writable"):
        require_writable(tmp_path / "file" / "runs", "x")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "x").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="is a link to"):
        require_writable(tmp_path / "runs", "x")
    require_writable(tmp_path / "new" / "runs", "x")
    assert not (tmp_path / "new").exists()
