"""Chats as rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.config import DataSettings
from harness.data.columns import to_rows
from harness.data.rows import Row
from harness.errors import DataError, HarnessError
from harness.tasks.generation import GENERATION

USER = {"role": "user", "content": "One?"}
ASSISTANT = {"role": "assistant", "content": "Two."}


def read(*chats: object, drop_empty: bool = False) -> list[Row]:
    records = [{"messages": chat} for chat in chats]
    return list(to_rows(records, DataSettings(drop_empty=drop_empty), GENERATION, where="chats.jsonl"))


@pytest.mark.parametrize("as_json", [False, True])
def test_the_last_answer_is_the_target(as_json: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """All before the assistant's last message is read, in its order and roles; what follows it is left out."""
    system = {"role": "system", "content": "Be brief."}
    chat: Sequence[object] = [system, USER, ASSISTANT, {"role": "user", "content": "Three?"}, ASSISTANT, USER]
    (row,) = read(json.dumps(chat) if as_json else chat)
    assert row.turns == (("system", "Be brief."), ("user", "One?"), ("assistant", "Two."), ("user", "Three?"))
    assert (row.input, row.target) == ("Three?", "Two.")
    assert GENERATION.write_prompt(row, "") == "Be brief.\nOne?\nTwo.\nThree?\n"


def test_chats_differ_by_all_their_turns() -> None:
    """The same last question after another talk is another row, for the hash and for the test of overlap."""
    one, other = read([USER, ASSISTANT], [{"role": "user", "content": "Zero?"}, ASSISTANT, USER, ASSISTANT])
    assert (one.input, one.target) == (other.input, other.target)
    assert one.hash != other.hash
    assert one.normalised_hash != other.normalised_hash


@pytest.mark.parametrize(
    ("chat", "seen"),
    [
        ([USER], "no message of the chat is the assistant's"),
        ([ASSISTANT], "the assistant answers before the user asks"),
        ("{", "neither a list nor JSON"),
        ({"role": "user"}, "holds no list but dict"),
        (["hello"], "a message is no mapping but str"),
        ([{"role": "human", "content": "a"}], "has the role 'human'; known are system, user, assistant"),
        ([{"role": "user", "content": 5}], 'column "messages" holds no text but int'),
        ([{"role": "user", "content": "\ud800"}, ASSISTANT], "half of a character"),
        ([USER, {"role": "assistant", "content": " "}], 'column "messages" is empty'),
        ([{"role": "user", "content": ""}, ASSISTANT], 'column "messages" is empty'),
        ([], 'column "messages" is empty'),
    ],
)
def test_what_is_no_chat_is_said(chat: Any, seen: str) -> None:
    """Each fault is named, with source and row."""
    with pytest.raises(DataError, match=rf"chats.jsonl, row 2 \(counted from 1\): .*{seen}"):
        read([USER, ASSISTANT], chat)


def test_empty_chats_can_be_dropped() -> None:
    """With drop_empty a chat without answer text is left out, and the others keep their ids."""
    assert [row.id for row in read([USER, {"role": "assistant", "content": None}], [USER, ASSISTANT], drop_empty=True)]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["user", "assistant"]),
        lambda part: st.lists(part, max_size=4) | st.dictionaries(st.sampled_from(["role", "content"]), part),
        max_leaves=12,
    )
)
def test_any_value_is_a_row_or_an_error(value: object) -> None:
    """Whatever the cell holds: a row with a target and a question, or an error of the harness."""
    try:
        rows = read(value)
    except HarnessError:
        return
    assert all(row.target.strip() and row.turns for row in rows)
