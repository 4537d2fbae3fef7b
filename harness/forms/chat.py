"""A row as a chat: the tokenizer's own template writes what the model reads and what it should say."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from harness.bounded import bounded
from harness.data.rows import Row
from harness.errors import DataError, ModelError
from harness.forms.sandbox import small_products
from harness.tasks.completions import Exchange

Message = dict[str, str]
PRIVATE = range(0xE000, 0xF900)
"""Code points that no alphabet uses."""
SECONDS, MORE_BYTES = 5.0, 1 << 30
"""What a template may take: it comes with the checkpoint, runs in a sandbox of jinja2, and could still never end."""


def require_template(tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    """Make sure that there is a template.

    Raises:
        ModelError: there is none.
    """
    if not tokenizer.chat_template:
        raise ModelError(
            f'The tokenizer of "{name}" has no chat template, and encoding.chat is true.',
            why="A chat in another form than the model was trained with is another task.",
            fix="Use a model that was tuned for chats, or set encoding.chat = false.",
        )


def encode_chat(tokenizer: PreTrainedTokenizerBase, row: Row, prompt: str, target: str, limit: int) -> Exchange:
    """The ids of a chat up to where the assistant answers, and of the answer.

    The prompt is the chat as the template opens the answer (``add_generation_prompt``); the completion is what the
    whole chat has behind it: the answer with the template's end of a turn, cut behind the first EOS, and closed by
    one where the template has none. So a generation marker of the template is not needed; some, as SmolLM3's, cover
    the opening as well, which is the prompt's.

    Args:
        tokenizer: has the template.
        row: the turns of a chat, or one question.
        prompt: what the last turn says.
        target: what the answer says.
        limit: the most tokens that a prompt may have.

    Raises:
        DataError: the template refuses the chat, or says something else before the answer once it knows the answer,
            or takes up more than half of the limit itself.
    """
    turns = row.turns[:-1]
    messages = [{"role": role, "content": content} for role, content in turns]
    messages.append({"role": row.turns[-1][0] if row.turns else "user", "content": prompt.strip()})
    answer = {"role": "assistant", "content": target}
    hidden, shown = _hide_special([*messages, answer], _list_special(tokenizer))
    asked = _render(tokenizer, row, hidden[:-1], add_generation_prompt=True)
    whole = _render(tokenizer, row, hidden)
    if not whole.startswith(asked):
        raise _refuse(
            row,
            f"the chat template does not begin the answered chat as the asked one: it ends {asked[-40:]!r} before "
            f"the answer, and with it goes on {whole[len(asked) - 40 :][:80]!r}",
        )
    read, said = (_tokenize(tokenizer, text, shown) for text in (asked, whole[len(asked) :]))
    if len(read) > limit:
        _require_room(tokenizer, row, messages, limit)
    eos = tokenizer.eos_token_id
    said = said[: said.index(eos)] if eos in said else said
    return Exchange(prompt=read, completion=[*said, eos])


def _render(tokenizer: PreTrainedTokenizerBase, row: Row, messages: Sequence[Message], **options: Any) -> str:
    try:
        with small_products(), bounded(seconds=SECONDS, more_bytes=MORE_BYTES):
            text: str = tokenizer.apply_chat_template(list(messages), tokenize=False, **options)
    except Exception as error:  # templates raise whatever they like
        raise _refuse(row, f"the chat template refuses it ({type(error).__name__}: {error})") from error
    return text


def _require_room(tokenizer: PreTrainedTokenizerBase, row: Row, messages: Sequence[Message], limit: int) -> None:
    """What the template itself says in front must survive when a long prompt is cut in its middle."""
    empty = [{**message, "content": ""} for message in messages[-1:]]
    taken = len(_tokenize(tokenizer, _render(tokenizer, row, empty, add_generation_prompt=True), {}))
    if taken > limit // 2:
        raise _refuse(row, f"the chat template alone takes {taken} of encoding.max_input_tokens = {limit}")


def _refuse(row: Row, seen: str) -> DataError:
    return DataError(
        f'Row "{row.id}" cannot be put as a chat: {seen}.',
        why="The model would be trained on another prompt than it is asked with.",
        fix="Raise encoding.max_input_tokens if it is too low; else use another template, or encoding.chat = false.",
    )


def _list_special(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    added = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    return sorted(added | set(tokenizer.all_special_tokens), key=len, reverse=True)


def _hide_special(messages: Sequence[Message], special: Sequence[str]) -> tuple[list[Message], dict[str, str]]:
    """Put a character that occurs nowhere for each special token that a message spells out: there it is text.

    Returns:
        The messages, and what each of these characters stands for.
    """
    texts = "\n".join(message["content"] for message in messages)
    free = (character for character in map(chr, PRIVATE) if character not in texts)
    spelled = [token for token in special if token in texts]
    signs = dict(zip(spelled, itertools.islice(free, len(spelled)), strict=True))
    if not signs:
        return [*messages], {}
    pattern = re.compile("|".join(map(re.escape, signs)))
    hidden = [
        {**message, "content": pattern.sub(lambda found: signs[found[0]], message["content"])} for message in messages
    ]
    return hidden, {sign: token for token, sign in signs.items()}


def _tokenize(tokenizer: PreTrainedTokenizerBase, text: str, shown: dict[str, str]) -> list[int]:
    """The ids of a rendered chat: special tokens of the template are tokens, those that a message spells are text."""
    pieces = re.split(f"([{''.join(shown)}])", text) if shown else [text]
    ids: list[int] = []
    for piece in filter(None, pieces):
        ids += tokenizer(shown.get(piece, piece), add_special_tokens=False, split_special_tokens=piece in shown)[
            "input_ids"
        ]
    return ids
