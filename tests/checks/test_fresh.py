"""Fresh processes: nothing of this process is there, and what goes wrong there is told here."""

from __future__ import annotations

import os
import sys
import threading
import time
from types import MethodType
from typing import Any

import pytest

from harness.checks.check import CheckSkipped
from harness.checks.deadline import TimedOut, deadline
from harness.checks.fresh import FreshProcessError, call_fresh

STATE = {"value": 1}


def test_function_runs_elsewhere_and_its_value_comes_back() -> None:
    """Closures travel by value; the process is another one, and knows no changed globals of the harness."""
    offset = 5
    assert call_fresh(lambda x: x + offset, 37, libraries=False) == 42
    assert call_fresh(os.getpid, libraries=False) != os.getpid()


def is_loaded(name: str) -> bool:
    """Whether a module is there without an import."""
    return name in sys.modules


@pytest.mark.parametrize("libraries", [False, True])
def test_libraries_are_loaded_before_the_call_where_they_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
    libraries: bool,  # noqa: FBT001
) -> None:
    """A call that reads rows does not wait for torch; one that trains finds what is loaded here."""
    import torch.utils.data  # noqa: F401, PLC0415 - so that it is loaded here

    # One library shows it as well as eight.
    monkeypatch.setattr("harness.checks.fresh.HEAVY", frozenset({"torch"}))
    assert call_fresh(is_loaded, "torch.utils.data", hash_seed=100 + libraries, libraries=libraries) == libraries


def test_hash_of_texts_is_salted_by_the_seed() -> None:
    """The same hash seed gives the same ``hash()``, another one another; this is how unstable splits come to light."""
    first, again, other = (call_fresh(hash, "a text", hash_seed=seed, libraries=False) for seed in (0, 0, 1))
    assert first == again != other


def test_calls_do_not_see_each_other() -> None:
    """State that one call leaves behind is not there in the next."""

    def count() -> int:
        import harness  # noqa: PLC0415

        harness.counted = getattr(harness, "counted", 0) + 1  # type: ignore[attr-defined]
        return int(harness.counted)  # type: ignore[attr-defined]

    assert [call_fresh(count, libraries=False) for _ in range(3)] == [1, 1, 1]


def is_own_method(method: Any) -> bool:
    """Whether this is the very function of its class."""
    return getattr(method.__self__, method.__name__).__func__ is method.__func__


@pytest.mark.slow
def test_method_travels_by_its_owner() -> None:
    """A method of a library's class stays that of the library, no copy of its code, whose parts may not travel."""
    from transformers import BertForTokenClassification  # noqa: PLC0415 - torch loads only for tests that use it

    assert call_fresh(is_own_method, BertForTokenClassification.from_pretrained, libraries=False)


def test_method_without_a_name_to_find_it_by_travels_too() -> None:
    """As one that was bound by hand."""

    class Counter:
        start = 5

    assert call_fresh(MethodType(lambda counter, by: counter.start + by, Counter()), 2, libraries=False) == 7


def test_error_there_is_told_here() -> None:
    """The traceback of the fresh process is the message."""

    def broken() -> None:
        raise ValueError("not in a fresh process")

    with pytest.raises(FreshProcessError, match="ValueError: not in a fresh process"):
        call_fresh(broken, libraries=False)
    with pytest.raises(FreshProcessError, match="status"):
        call_fresh(lambda: os._exit(3), libraries=False)
    assert call_fresh(lambda: "alive", libraries=False) == "alive"


def test_call_that_hangs_is_ended() -> None:
    """The time limit holds, and the next call works."""
    began = time.perf_counter()
    with pytest.raises(FreshProcessError, match=r"more than 0\.5 s"):
        call_fresh(time.sleep, 60, timeout=0.5, libraries=False)
    assert time.perf_counter() - began < 10
    assert call_fresh(lambda: 1, libraries=False) == 1


def test_what_cannot_travel_is_skipped() -> None:
    """A part that holds a lock cannot be pickled: the check is skipped with the reason."""
    lock = threading.Lock()
    with pytest.raises(CheckSkipped, match="cannot be sent"):
        call_fresh(lock.locked)


def test_prints_there_do_not_disturb_the_answer() -> None:
    """Standard output of a user's function stays out of the protocol."""
    assert call_fresh(lambda: print("noise" * 1000) or 7, libraries=False) == 7  # noqa: T201


def test_call_that_is_interrupted_leaves_no_answer_behind() -> None:
    """A deadline in this process ends the other one too, so the next call gets its own answer."""
    with pytest.raises(TimedOut), deadline(0.5):
        call_fresh(time.sleep, 3, libraries=False)
    assert call_fresh(lambda: "mine", libraries=False) == "mine"


@pytest.mark.slow
def test_tokenizers_that_were_used_before_the_fork_still_work() -> None:
    """The small tokenizers are trained when they are imported, which must not leave a fork waiting for lost threads."""

    def encode() -> int:
        from harness.defects.reference.tokenizers import causal_tokenizer  # noqa: PLC0415

        return len(causal_tokenizer()(["a text", "another text"] * 200)["input_ids"])

    import harness.defects.reference.causal  # noqa: F401, PLC0415 - so that the server imports it before it forks

    assert [call_fresh(encode, hash_seed=9, timeout=60) for _ in range(2)] == [400, 400]
