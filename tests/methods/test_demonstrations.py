"""Which rows are shown before a question: never itself, never an evaluation row, never more than there is room for."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.config import PromptSettings
from harness.data.newsroom import draw_event
from harness.data.rows import Row
from harness.methods.demonstrations import GAP, Asker
from harness.tasks import TASKS
from harness.tasks.task import Task

SUMMARIZATION: Task = TASKS["summarization"]
POOL = tuple(SUMMARIZATION.tell(draw_event(1, n)) for n in range(12))
ASKED = tuple(SUMMARIZATION.tell(draw_event(2, n)) for n in range(6))
SHORT = (Row(id="a", input="The cat sat.", target="Cat."), Row(id="b", input="A dog ran off.", target="Dog."))
QUESTION = Row(id="q", input="Which cat is it?", target="SECRET")
CHOICES = st.sampled_from(["random", "similar"])
ORDERS = st.sampled_from(["best-last", "best-first"])


def make_asker(pool: Sequence[Row] = POOL, *, seed: int = 0, budget: int = 10**6, **settings: object) -> Asker:
    """An asker of summarization."""
    prompt = PromptSettings.model_validate(settings)
    return Asker(task=SUMMARIZATION, prefix="sum: ", settings=prompt, seed=seed, pool=pool, budget=budget)


def count_words(rows: Sequence[Row], prompts: Sequence[str]) -> list[int]:
    """A tokenizer of words."""
    return [len(prompt.split()) for prompt in prompts]


@given(CHOICES, st.integers(0, 14), st.integers(0, 9), st.integers(0, 11), st.sampled_from(["", " ", "\u3000!"]))
def test_a_row_is_never_shown_to_itself(choose: str, shots: int, seed: int, place: int, mark: str) -> None:
    """Neither a training row nor a copy in other case or spacing is its own demonstration; all others may be."""
    row = POOL[place]
    copy = Row(id="copy", input=mark + row.input.upper() + mark, target="x")
    for question in (row, copy):
        (shown,) = make_asker(seed=seed, choose=choose, shots=shots).choose([question], count_words)
        assert row not in shown
        assert len(shown) == len({each.id for each in shown}) == min(shots, len(POOL) - 1)


@given(CHOICES, st.integers(1, 5), st.integers(0, 9), ORDERS)
def test_evaluation_rows_are_never_shown(choose: str, shots: int, seed: int, order: str) -> None:
    """Every demonstration is a training row, and a prompt holds no answer of the rows that are asked."""
    asker = make_asker(seed=seed, choose=choose, shots=shots, order=order)
    assert all(set(shown) <= set(POOL) for shown in asker.choose(ASKED, count_words))
    for row, prompt in zip(ASKED, asker(ASKED, count_words), strict=True):
        assert prompt.count(row.input) == 1
        assert prompt.endswith(f"sum: {row.input}")
        assert row.target not in prompt.replace(row.input, "")


def test_planted_leak_is_kept_out() -> None:
    """An evaluation row that got into the pool is not shown where it is asked itself."""
    leaky = (*POOL, *ASKED)
    for choose in ("random", "similar"):
        prompts = make_asker(leaky, choose=choose, shots=len(leaky) - 1)(ASKED, count_words)
        for row, prompt in zip(ASKED, prompts, strict=True):
            assert prompt.count(row.input) == 1


def test_prompts_depend_on_seed_and_row_alone() -> None:
    """The same seed draws the same, another seed other rows, whichever rows are asked beside; questions differ."""
    one, again, other = (make_asker(seed=seed, shots=3)(ASKED, count_words) for seed in (0, 0, 1))
    assert one == again != other
    assert one == [prompt for row in ASKED for prompt in make_asker(seed=0, shots=3)([row], count_words)]
    drawn = make_asker(seed=0, shots=3).choose(ASKED, count_words)
    assert len({tuple(row.id for row in shown) for shown in drawn}) > 1
    assert {row.id for shown in make_asker(shots=6).choose(POOL, count_words) for row in shown} == {
        row.id for row in POOL
    }


def test_similar_rows_share_rare_words() -> None:
    """The row that shares the question's rare word comes first; without one in common the order of the pool decides."""
    rows = tuple(Row(id=word, input=f"The {word} is here.", target=word) for word in ("cat", "dog", "zebra"))
    question = Row(id="q", input="Where is THE zebra?", target="")
    (shown,) = make_asker(rows, choose="similar", shots=3).choose([question], count_words)
    assert [row.id for row in shown] == ["zebra", "cat", "dog"]
    (shown,) = make_asker(rows, choose="similar", shots=2).choose([Row(id="q", input="?!", target="")], count_words)
    assert [row.id for row in shown] == ["cat", "dog"]


@given(CHOICES, st.integers(0, 6), st.integers(1, 900), ORDERS)
def test_the_budget_drops_demonstrations_and_never_the_question(
    choose: str, shots: int, budget: int, order: str
) -> None:
    """Prompts keep to the budget, or are the bare question; one more demonstration would not have fitted."""
    asker = make_asker(choose=choose, shots=shots, budget=budget, order=order)
    free = make_asker(choose=choose, shots=shots, order=order).choose(ASKED, count_words)
    for row, all_shown, shown in zip(ASKED, free, asker.choose(ASKED, count_words), strict=True):
        assert shown == all_shown[: len(shown)]
        prompt = asker.write(row, shown)
        assert row.input in prompt
        assert not shown or len(prompt.split()) <= budget
        if len(shown) < len(all_shown):
            assert len(asker.write(row, all_shown[: len(shown) + 1]).split()) > budget


def test_golden_prompts() -> None:
    """Demonstrations with their answers, a gap between them, the question last and without its answer."""
    assert make_asker(SHORT, shots=0)([QUESTION], count_words) == ["sum: Which cat is it?"]
    expected = "sum: A dog ran off.\nDog.\n\nsum: The cat sat.\nCat.\n\nsum: Which cat is it?"
    assert make_asker(SHORT, shots=2, choose="similar")([QUESTION], count_words) == [expected]
    expected = "sum: The cat sat.\nCat.\n\nsum: A dog ran off.\nDog.\n\nsum: Which cat is it?"
    assert make_asker(SHORT, shots=2, choose="similar", order="best-first")([QUESTION], count_words) == [expected]
    template = "Text: {input} {{short}}"
    expected = "Text: The cat sat. {short}\nCat.\n\nText: Which cat is it? {short}"
    assert make_asker(SHORT, shots=1, choose="similar", template=template)([QUESTION], count_words) == [expected]


def test_templates_are_filled_once() -> None:
    """Context and input are put in as they are, though they look like places themselves."""
    row = Row(id="q", input="{context}", context="{input}{0}", target="t")
    assert make_asker(template="{context} | {input}")([row], count_words) == ["{input}{0} | {context}"]


def test_fewer_demonstrations_are_part_of_more() -> None:
    """With the same questions a smaller budget shows the beginning of what a larger one shows."""
    sizes = [make_asker(shots=5, budget=budget).choose(ASKED, count_words) for budget in (200, 400, 800)]
    for small, large in pairwise(sizes):
        assert all(one == other[: len(one)] for one, other in zip(small, large, strict=True))
    assert GAP == "\n\n"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("Say {text}: {input}", "place {text}"),
        ("Hello", "no {input}"),
        ("{input.x}", "{input.x}"),
        ("{input!r}", "{input}"),
    ],
)
def test_templates_that_cannot_be_filled(template: str, message: str) -> None:
    """A place that nothing fills, a missing input and format tricks are refused when the settings are read."""
    with pytest.raises(ValueError, match="template has") as error:
        PromptSettings(template=template)
    assert message in str(error.value)
