"""Chats: records of messages, each with a role and a content."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from harness.data.columns import Cells, EmptyCell
from harness.data.rows import Row

MESSAGES = "messages"
"""The column that holds a chat: a list of {"role", "content"}, or such a list as JSON."""
ROLES = ("system", "user", "assistant")
HINT = 'A chat is a list of {"role": "user", "content": "..."}, and ends with what the assistant says.'


def read_chat(cells: Cells) -> Row:
    """The row of a chat: the assistant's last message is the target, and what stands before it is read.

    Raises:
        EmptyCell: the chat, or the last thing asked or answered, is empty.
        DataError: it is no chat, or the assistant says nothing in it, or answers before anything was asked.
    """
    messages = [_read_message(cells, message) for message in _list_messages(cells)]
    while messages and messages[-1][0] != "assistant":
        messages.pop()
    if not messages:
        raise cells.error("no message of the chat is the assistant's.", fix=HINT)
    *turns, (_, target) = messages
    if not any(role == "user" for role, _ in turns):
        raise cells.error("the assistant answers before the user asks.", fix=HINT)
    if not target.strip() or not turns[-1][1].strip():
        raise EmptyCell(MESSAGES)
    return Row(id=cells.id, input=turns[-1][1], target=target, turns=tuple(turns))


def _list_messages(cells: Cells) -> list[Any]:
    value = cells.record[MESSAGES]
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise cells.error(f'column "{MESSAGES}" is neither a list nor JSON: {error}.', fix=HINT) from error
    if value is not None and not isinstance(value, list):
        raise cells.error(f'column "{MESSAGES}" holds no list but {type(value).__name__}: {value!r:.60}.', fix=HINT)
    if not value:
        raise EmptyCell(MESSAGES)
    return value


def _read_message(cells: Cells, message: Any) -> tuple[str, str]:
    if not isinstance(message, Mapping):
        raise cells.error(f"a message is no mapping but {type(message).__name__}: {message!r:.60}.", fix=HINT)
    role, content = message.get("role"), message.get("content")
    if role not in ROLES:
        raise cells.error(f"a message has the role {role!r:.40}; known are {', '.join(ROLES)}.", fix=HINT)
    return role, cells.check_text(content, MESSAGES) or ""
