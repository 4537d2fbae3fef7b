"""``harness bench``: what it measures, what it stores, and how it judges."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from harness.baselines.orphans import find_orphans
from harness.benchmark.cases import Case, make_model
from harness.benchmark.measure import Timed, measure_case
from harness.benchmark.page import step_bytes, write_page
from harness.benchmark.record import judge, make_record, place, store
from harness.benchmark.roofline import Shape, measure_bandwidth, read_shape
from harness.benchmark.table import tabulate_session
from harness.cli.bench import bench_command, show
from harness.errors import BaselineError, SettingsError, UsageError
from harness.models.loading import LoadedModel
from harness.requirements import Status

CASE = Case(batch=2, beams=3, dtype="float32", source_length=32, new_tokens=6)
SHAPE = Shape(weights=1_000, layers=2, inner=16, itemsize=4)


def make_timed(engine: str, seconds: tuple[float, ...], ratios: tuple[float, ...]) -> Timed:
    return Timed(
        engine=engine, case=CASE, seconds=seconds, first=(0.5,) * len(seconds), ratios=ratios, tokens=12, equal=2,
        peak=9, shape=SHAPE,
    )  # fmt: skip


def test_bytes_of_a_step_are_counted() -> None:
    """By hand: 1000 weights, and in 2 layers of width 16 the keys and values of 32 source and 3 x 5 own tokens."""
    cached = 2 * 2 * 16 * 2 * (32 + 3 * 5)
    assert SHAPE.step_bytes(rows=2, beams=3, source_length=32, past=5) == 4 * (1_000 + cached)


def test_shape_of_t5_small_is_known() -> None:
    """Six layers of 4 + 2 square matrices and a feed-forward of 2 x 512 x 2048, and the head; in bfloat16 half."""
    small = make_model("t5-small")
    expected = 6 * (6 * 512 * 512 + 2 * 512 * 2048) + 32128 * 512
    assert read_shape(small) == Shape(weights=expected, layers=6, inner=512, itemsize=4)
    assert read_shape(small.bfloat16()).itemsize == 2


@pytest.mark.parametrize("beams", [1, 4])
def test_t5_small_of_random_weights_writes_tokens(beams: int) -> None:
    """As many as are asked for: padding would count as none, and all engines agree where none writes anything."""
    case = Case(batch=2, beams=beams, dtype="float32", source_length=8, new_tokens=6)
    reference, graph = measure_case(make_model("t5-small"), case, ["graph"], rounds=1)
    assert (reference.tokens, graph.tokens, graph.equal) == (12, 12, 2)


def test_shares_of_the_roofline() -> None:
    """A step that takes twice as long as its bytes need is at a half; the first token is no step behind the first."""
    timed = make_timed("graph", (5.5, 5.5, 5.5), (1.0, 1.0, 1.0))
    assert timed.step_seconds.median == 1.0
    moved = SHAPE.step_bytes(rows=2, beams=3, source_length=32, past=3.5)
    assert timed.share_of_roofline(2 * moved) == pytest.approx(0.5)


def test_bandwidth_is_that_of_a_machine() -> None:
    """More than a disk and less than any memory there is."""
    assert 2e8 < measure_bandwidth(torch.device("cpu"), rounds=1) < 2e13


def test_engines_are_measured_in_turns(tiny_t5: LoadedModel) -> None:
    """Reference and engine give as many rounds, ratios and tokens, the same rows, and the model stays as it was."""
    own = tiny_t5.model.generation_config
    reference, graph = measure_case(tiny_t5.model, CASE, ["graph"], rounds=3)
    assert (reference.engine, graph.engine) == ("transformers", "graph")
    assert reference.ratios == (1.0, 1.0, 1.0)
    assert graph.ratios == tuple(a / b for a, b in zip(reference.seconds, graph.seconds, strict=True))
    assert (graph.tokens, graph.equal, len(graph.first)) == (12, 2, 3)
    assert tiny_t5.model.generation_config is own


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """A stored session in which graph is four times as fast."""
    timed = [make_timed("transformers", (4.0,) * 7, (1.0,) * 7), make_timed("graph", (1.0,) * 7, (4.0,) * 7)]
    record = make_record("tiny-t5", timed, 1e10)
    assert store(tmp_path, record) == place(tmp_path, record)
    return tmp_path, record


@pytest.mark.parametrize(
    ("ratios", "status"),
    [((4.0,) * 7, Status.HOLDS), ((3.3,) * 7, Status.HOLDS), ((3.0,) * 7, Status.FAILS),
     ((3.0, 3.0, 3.0, 3.0, 3.4, 3.4, 3.4), Status.UNDECIDED)],
)  # fmt: skip
def test_ratios_are_judged(stored: tuple[Path, dict[str, Any]], ratios: tuple[float, ...], status: Status) -> None:
    """A fifth is allowed to be lost; beyond it fails, unless the interval of the median still reaches it."""
    timed = [make_timed("transformers", (9.0,) * 7, (1.0,) * 7), make_timed("graph", (1.0,) * 7, ratios)]
    found, lines = judge(stored[0], make_record("tiny-t5", timed, 1e10))
    assert found is status
    assert "stored 4.00" in lines[0]


def test_nothing_comparable_is_no_pass(stored: tuple[Path, dict[str, Any]]) -> None:
    """Nothing stored, another device, another case, and the reference alone: not comparable; damage is an error."""
    baselines, record = stored
    changed = {name: copy.deepcopy(record) for name in ("device", "case", "alone")}
    changed["device"]["environment"]["device"] = "another GPU"
    changed["case"]["results"][1]["batch"] = 64
    del changed["alone"]["results"][1]
    for other in changed.values():
        assert judge(baselines, other)[0] is Status.NOT_COMPARABLE
    assert judge(baselines / "empty", record)[0] is Status.NOT_COMPARABLE
    place(baselines, record).write_text("{}")
    with pytest.raises(BaselineError, match="no stored benchmark"):
        judge(baselines, record)


def test_page_shows_what_is_stored_and_nothing_else(stored: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """Device, median and interval of every number stand there, as stored; a second device adds a section of its own."""
    baselines, record = stored
    page = tmp_path / "page.md"
    assert CliRunner().invoke(bench_command, ["--page", str(page), "--baselines", str(baselines)]).exit_code == 0
    text = page.read_text(encoding="utf-8")
    assert f"## tiny-t5 on {record['environment']['device']}" in text
    assert text.count("\n## ") == 1
    graph = next(line for line in text.splitlines() if line.startswith("| graph"))
    share = f"{100 * record['results'][1]['share_of_roofline']:.1f} %"
    for said in ("2 | 3 | float32 | 32", "12 [12, 12]", "4.00 [4.00, 4.00]", "100.00 [100.00, 100.00]",
                 "500.0 [500.0, 500.0]", "2.00 [2.00, 2.00]", share, "2/2"):  # fmt: skip
        assert said in graph, said
    record["environment"] = {**record["environment"], "device": "another GPU"}
    store(baselines, record)
    written = write_page(baselines, page)
    assert page.read_text(encoding="utf-8").count("\n## ") == len(written) - 1 == 2
    assert all(f"]({chart.name})" in page.read_text(encoding="utf-8") for chart in written[1:])
    assert "another GPU" in written[1].read_text(encoding="utf-8") + written[2].read_text(encoding="utf-8")


def test_page_knows_the_bytes_of_a_step(stored: tuple[Path, dict[str, Any]]) -> None:
    """The bytes drawn are those that the share was computed from; and without a session there is no page."""
    record = stored[1]
    moved = SHAPE.step_bytes(rows=2, beams=3, source_length=32, past=3.5)
    assert [step_bytes(record, entry) for entry in record["results"]] == pytest.approx([moved, moved])
    with pytest.raises(UsageError, match="holds no session"):
        write_page(stored[0] / "empty", stored[0] / "page.md")


def make_session(sources: tuple[int, ...]) -> dict[str, Any]:
    """A session with the widest names and numbers that are likely."""
    timed = [
        replace(
            make_timed(engine, (0.0123,) * 7, (12.34,) * 7),
            first=(0.0045,) * 7,
            case=replace(CASE, source_length=source),
        )
        for source in sources
        for engine in ("transformers", "ctranslate2")
    ]
    return make_record("tiny-t5", timed, 1e10)


@pytest.mark.parametrize(("sources", "parts"), [((512,), 3), ((64, 512), 4)])
def test_a_narrow_terminal_shows_every_number(
    sources: tuple[int, ...], parts: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In 80 columns no line is wider, no name parted, and every number of the page is there."""
    record = make_session(sources)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")  # 80 columns, no colours
    show(record)
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    for line in tabulate_session(record).rows:
        assert all(text.count(str(cell)) for cell in line)
        assert len(re.findall(rf"^ {line[0]} ", text, re.MULTILINE)) == parts * len(sources)


def test_a_file_has_the_whole_table(capsys: pytest.CaptureFixture[str]) -> None:
    """What is no terminal gets one line for each case, with all numbers; what all cases share stands in the title."""
    record = make_session((512,))
    show(record)
    title, *lines = capsys.readouterr().out.splitlines()
    assert title == f"tiny-t5 on {record['environment']['device']}, float32, source 512"
    for line in tabulate_session(record).rows:
        (shown,) = [" ".join(each.split()) for each in lines if each.startswith(f" {line[0]} ")]
        assert shown == " ".join(map(str, (*line[:3], *line[5:])))


def test_auto_is_nothing_to_time() -> None:
    """What only chooses among engines is refused in a sentence, before a model is made."""
    with pytest.raises(SettingsError, match="only chooses among engines"):
        CliRunner().invoke(bench_command, ["--engine", "auto"], catch_exceptions=False)


def test_sessions_are_no_orphans(stored: tuple[Path, dict[str, Any]]) -> None:
    """The folder of benchmarks lies among the experiments, and is none that could be pruned."""
    (stored[0] / "lost").mkdir()
    assert find_orphans(stored[0], known=()) == [stored[0] / "lost"]


def test_command_measures_stores_and_judges(tmp_path: Path) -> None:
    """Without a stored session the exit code is 4, and the JSON holds what was asked for; stored, it is judged."""
    asked = ["--batch", "1", "--beams", "2", "--source", "16", "--tokens", "3", "--rounds", "1", "--baselines",
             str(tmp_path)]  # fmt: skip
    first = CliRunner().invoke(bench_command, [*asked, "--json"])
    assert first.exit_code == 4
    results = json.loads(first.stdout)["results"]
    assert [entry["engine"] for entry in results] == ["transformers", "graph"]
    assert {"tokens_per_second", "seconds_per_step", "seconds_to_first_token", "rows_per_second", "peak_bytes",
            "share_of_roofline", "ratio"} <= set(results[1])  # fmt: skip
    kept = CliRunner().invoke(bench_command, [*asked, "--store"])
    assert kept.exit_code == 0
    assert "graph" in kept.stdout
    assert CliRunner().invoke(bench_command, asked).exit_code in {0, 1, 3}
