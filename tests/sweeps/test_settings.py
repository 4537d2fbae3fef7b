"""The settings of a sweep, and the cells that they make."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.config import load_experiment
from harness.errors import NameUnknownError, SettingsError
from harness.sweeps.cells import list_groups
from harness.sweeps.settings import Sweep, load_sweep
from harness.sweeps.work import CellOrder
from tests.sweeps.by_hand import small_sweep

FILE = """
name = "nightly"
tasks = ["summarization", "own.toml"]
methods = ["full", "lora"]
seeds = [1, 2]

[set]
"data.train_rows" = 32
training.epochs = 3

[only.lora.training]
learning_rate = 3e-3
epochs = 5
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A file of settings, beside the file of an experiment whose rows lie there too."""
    (tmp_path / "rows.jsonl").write_text("", encoding="utf-8")
    own = 'name = "own-full"\ntask = "ner"\n[data]\nsource = "rows.jsonl"\n[model]\nname = "tiny-bert"\n'
    (tmp_path / "own.toml").write_text(own, encoding="utf-8")
    (tmp_path / "sweep.toml").write_text(FILE, encoding="utf-8")
    return str(tmp_path / "sweep.toml")


def test_file_says_what_each_cell_is(file: str) -> None:
    """Settings of all cells, those of one method on top, and paths from the file's own folder."""
    groups = list_groups(load_sweep(file, {}, {}))
    assert [str(group) for group in groups] == ["summarization, tiny-t5", "own-full, tiny-bert"]
    cells = [cell for group in groups for cell in group.cells]
    assert [(cell.method, cell.seed) for cell in cells] == [("full", 1), ("full", 2), ("lora", 1), ("lora", 2)] * 2
    full, lora = cells[0].experiment, cells[2].experiment
    assert (full.training.epochs, lora.training.epochs, lora.training.learning_rate) == (3, 5, 3e-3)
    assert full.training.learning_rate == load_experiment("summarization-full").training.learning_rate
    assert {cell.experiment.data.train_rows for cell in cells} == {32}
    assert {cell.experiment.training.seed for cell in cells} == {1, 2}
    assert cells[4].experiment.data.source == str(Path(file).with_name("rows.jsonl"))


def test_settings_of_one_task_find_it_by_the_name_that_the_file_gives_it(file: str) -> None:
    """``[only."own.toml"]`` means the file that ``tasks`` means, wherever the command stands."""
    with Path(file).open("a", encoding="utf-8") as more:
        more.write('\n[only."own.toml"]\ndata.eval_rows = 4\n')
    Path(file).with_name("lora").mkdir()
    summarization, own = list_groups(load_sweep(file, {}, {}))
    assert {cell.experiment.data.eval_rows for cell in own.cells} == {4}
    assert 4 not in {cell.experiment.data.eval_rows for cell in summarization.cells}
    assert {cell.experiment.training.epochs for cell in own.cells if cell.method == "lora"} == {5}


def test_command_line_wins_over_the_file(file: str) -> None:
    """What it sets, it sets for all cells, also where the file says something of one method."""
    sweep = load_sweep(file, {"tasks": ["summarization"], "seeds": [7]}, {"training.epochs": 1})
    (group,) = list_groups(sweep)
    assert sweep.name == "nightly"
    assert [(cell.method, cell.seed, cell.experiment.training.epochs) for cell in group.cells] == [
        ("full", 7, 1),
        ("lora", 7, 1),
    ]


def test_page_shows_a_file_that_can_be_read(file: str) -> None:
    """The example of the documents makes the cells that it says."""
    page = (Path(__file__).parents[2] / "docs" / "sweeps.md").read_text(encoding="utf-8")
    Path(file).write_text(page.partition("```toml\n")[2].partition("```")[0], encoding="utf-8")
    cells = [cell for group in list_groups(load_sweep(file, {}, {})) for cell in group.cells]
    assert len(cells) == 2 * 2 * 2 * 3
    assert {(cell.method, cell.experiment.lora.rank) for cell in cells} == {("full", 8), ("lora", 16)}
    assert {cell.experiment.data.train_rows for cell in cells} == {200}


@given(
    methods=st.lists(st.sampled_from(["full", "lora", "adapters", "prompt"]), min_size=1, unique=True),
    seeds=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=4, unique=True),
    models=st.lists(st.sampled_from(["tiny-t5", "tiny-llama", "some/model"]), min_size=1, unique=True),
)
def test_every_combination_is_one_cell_with_a_key_of_its_own(
    methods: list[str], seeds: list[int], models: list[str]
) -> None:
    """None is left out, none stands twice, and no two have one key."""
    sweep = Sweep(tasks=("summarization",), models=tuple(models), methods=tuple(methods), seeds=tuple(seeds))
    cells = [cell for group in list_groups(sweep) for cell in group.cells]
    assert len(cells) == len(methods) * len(seeds) * len(models)
    assert {(cell.model, cell.method, cell.seed) for cell in cells} == {
        (model, method, seed) for model in models for method in methods for seed in seeds
    }
    assert len({CellOrder(cell=cell, sources={}, circumstances={}, threads=1).key for cell in cells}) == len(cells)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seeds": [1, 2, 1]}, "seeds names 1 twice"),
        ({"only": {"loar": {"training.epochs": 1}}}, "only speaks of loar"),
        ({"set": {"training": {"seed": 3}}}, "training.seed is set, and seeds of the sweep decides it"),
        ({"set": {"repeats": 3}}, "repeats is set"),
        ({"tasks": []}, "tasks"),
        ({"worker": 3}, "worker"),
    ],
)
def test_wrong_settings_are_refused_in_a_sentence(changes: dict[str, object], said: str) -> None:
    """What contradicts itself, or is not known, is named."""
    with pytest.raises(SettingsError, match=said):
        load_sweep(None, {"tasks": ["summarization"]} | changes, {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tasks = [", "cannot be read"),
        ("tasks = ['ner']\nset = 3", "as tables"),
        ("tasks = ['ner']\nonly = {a = 1}", "as tables"),
    ],
)
def test_broken_file_is_an_error_of_our_own(tmp_path: Path, text: str, said: str) -> None:
    """A file that is no TOML, or has values where tables belong."""
    (tmp_path / "x.toml").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=said):
        load_sweep(str(tmp_path / "x.toml"), {}, {})


def test_names_are_known_before_anything_runs(file: str) -> None:
    """Method, task and engine of generation are looked up; two tasks of one name would share a line."""
    for changes in ({"methods": ["fulll"]}, {"tasks": ["sumarization"]}, {"set": {"generation.engine": "warp"}}):
        with pytest.raises(NameUnknownError):
            list_groups(small_sweep(**changes))
    own = str(Path(file).with_name("own.toml"))
    other = Path(file).with_name("other.toml")
    other.write_text(Path(own).read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(SettingsError, match='called "own-full"'):
        list_groups(small_sweep(tasks=[own, str(other)]))
