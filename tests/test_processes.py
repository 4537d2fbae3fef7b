"""Several processes: who has which rows, and what is refused, without starting any."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import processes
from harness.cli import main
from harness.config import TrainingSettings
from harness.errors import ProcessError, SettingsError, UnfitError
from harness.experiment import run
from harness.generation.batching import sorted_batches
from harness.models.loading import LoadedModel
from harness.parallel import require_shardable
from harness.training import require_able
from tests.small import small_experiment


@pytest.fixture
def one_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process believes that torchrun started it with another."""
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "2", "RANK": "0"}.items():
        monkeypatch.setenv(name, value)


@given(
    lengths=st.lists(st.integers(1, 20), max_size=40),
    size=st.integers(1, 8),
    budget=st.none() | st.integers(1, 60),
    count=st.integers(1, 6),
)
def test_shared_rows_fall_into_the_batches_of_one_process(
    lengths: list[int], size: int, budget: int | None, count: int
) -> None:
    """Each process makes of its rows the batches that it was given, and all of them together are those of one."""
    batches = sorted_batches(lengths, size, budget)
    remade = []
    for number in range(count):
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": count, "RANK": number}.items():
                patch.setenv(name, str(value))
            places = sorted(place for batch in processes.share(batches) for place in batch)
        own = sorted_batches([lengths[place] for place in places], size, budget)
        remade += [[places[place] for place in batch] for batch in own]
    assert sorted(remade) == sorted(batches)


def test_one_process_hands_to_itself() -> None:
    """Alone, everything is its own, the first process's work is done, and nothing differs."""
    assert (processes.count(), processes.number(), processes.is_first()) == (1, 0, True)
    assert processes.share([1, 2, 3]) == processes.gather([1, 2, 3]) == [1, 2, 3]
    assert processes.by_first(lambda: 5) == 5
    processes.require_equal("abc", "weights")
    processes.require_one("Anything")


def test_different_weights_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where processes have trained different models, the rows would be scored by several."""
    monkeypatch.setattr(processes, "gather", lambda values: [*values, "d" * 64])
    with pytest.raises(ProcessError, match=r"weights are not the same in all of 2 processes: cccccccc, dddddddd"):
        processes.require_equal("c" * 64, "weights")


@pytest.mark.usefixtures("one_of_two")
def test_batch_that_does_not_divide_is_refused(tiny_t5: LoadedModel) -> None:
    """The batch of the settings is that of all processes, so it has to be a multiple of their number."""
    with pytest.raises(SettingsError, match=r"batch_size is 5, and 2 processes.*multiple of 2"):
        require_able(tiny_t5.model, TrainingSettings(batch_size=5))
    require_able(tiny_t5.model, TrainingSettings(batch_size=6))


def test_sharding_needs_several_processes(tiny_t5: LoadedModel) -> None:
    """One process has nothing to divide with, and the best weights of early stopping would be in parts."""
    with pytest.raises(SettingsError, match="there is one process"):
        require_able(tiny_t5.model, TrainingSettings(sharding="full"))
    with pytest.raises(SettingsError, match="there is one process"):
        require_shardable()
    with pytest.raises(ValueError, match="patience keeps the best weights"):
        TrainingSettings(sharding="full", patience=1)


@pytest.mark.usefixtures("one_of_two")
@pytest.mark.parametrize(
    "words", [["audit", "x"], ["bench"], ["baseline", "list"], ["run", "--strategy", "sequential"]], ids=" ".join
)
def test_what_one_process_does_is_refused_by_name(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Commands and strategies that know nothing of other processes end before anything is done."""
    from harness.cli import cli  # noqa: PLC0415

    with pytest.raises(SettingsError, match="cannot be run on 2 processes"):
        cli.main(words, standalone_mode=False)
    assert main is not None
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("one_of_two")
def test_rlhf_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The method is refused before the base is scored."""
    monkeypatch.setattr(processes, "join", lambda: None)
    said: list[str] = []
    with pytest.raises(UnfitError, match='"rlhf" cannot be run on 2 processes'):
        run(small_experiment(method="rlhf"), baselines=tmp_path, say=said.append)
    assert not any(line.startswith("base:") for line in said)
