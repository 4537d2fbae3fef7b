"""A row as a chat: the template's own words, the answer alone learned, and texts that spell a token are text."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerBase

from harness.config import load_experiment
from harness.data.rows import Row
from harness.defects.reference.tokenizers import causal_tokenizer, real_tokenizer
from harness.errors import DataError, ModelError
from harness.experiment import run
from harness.forms.chat import encode_chat
from harness.tasks.task import IGNORE_INDEX
from tests.forms.causal_models import load_small, make_causal, save_small

KINDS = ["reference", "phi", "qwen", "smollm3"]
TURNS = (("system", "Be brief."), ("user", "One two?"), ("assistant", "Three."), ("user", "And four?"))


def make_tokenizer(kind: str, shared_data: Path) -> PreTrainedTokenizerBase:
    """A tokenizer with its template; those whose vocabulary is not here have the small one and their own tokens."""
    if kind == "phi":
        return real_tokenizer(shared_data / "tokenizers" / "phi-3-mini-chat")
    tokenizer = copy.deepcopy(causal_tokenizer())
    templates = shared_data / "tokenizers" / "chat-templates"
    if kind == "qwen":
        settings = json.loads((templates / "qwen2.5-tokenizer_config.json").read_text())
        tokenizer.chat_template = settings["chat_template"]
    if kind == "smollm3":
        tokenizer.chat_template = (templates / "smollm3-chat_template.jinja").read_text()
    if kind != "reference":
        tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>"], "eos_token": "<|im_end|>"})
    return tokenizer


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request: pytest.FixtureRequest, shared_data: Path) -> PreTrainedTokenizerBase:
    """One of four templates."""
    return make_tokenizer(request.param, shared_data)


def as_messages(row: Row) -> list[dict[str, str]]:
    turns = [*row.turns, ("assistant", row.target)]
    return [{"role": role, "content": content} for role, content in turns]


@pytest.mark.parametrize("turns", [TURNS, TURNS[1:2]], ids=["several turns", "one turn"])
def test_the_chat_is_the_templates(tokenizer: PreTrainedTokenizerBase, turns: tuple[tuple[str, str], ...]) -> None:
    """Prompt and completion are what the template writes, the answer is learned whole, and one EOS ends it."""
    row = Row(id="0", input=turns[-1][1], target="Five and six.", turns=turns)
    chat = encode_chat(tokenizer, row, row.input, row.target, 999)
    messages = as_messages(row)
    asked = tokenizer.apply_chat_template(messages[:-1], tokenize=False, add_generation_prompt=True)
    whole = tokenizer.apply_chat_template(messages, tokenize=False)
    assert chat.prompt == tokenizer(asked, add_special_tokens=False)["input_ids"]
    closed = whole[len(asked) :].partition(tokenizer.eos_token)[0] + tokenizer.eos_token
    assert closed.startswith("Five and six.")
    assert chat.completion == tokenizer(closed, add_special_tokens=False)["input_ids"]
    assert chat.completion.count(tokenizer.eos_token_id) == 1
    assert chat.completion[-1] == tokenizer.eos_token_id


@pytest.mark.parametrize("kind", ["reference", "smollm3"])
def test_generation_marker_says_the_same(kind: str, shared_data: Path) -> None:
    """Where a template marks what the assistant says, that is the completion; but for the opening, if it marks that."""
    tokenizer = make_tokenizer(kind, shared_data)
    row = Row(id="0", input="One two?", target="Three.", turns=TURNS[:2])
    chat = encode_chat(tokenizer, row, row.input, row.target, 999)
    marked = tokenizer.apply_chat_template(as_messages(row), return_dict=True, return_assistant_tokens_mask=True)
    ids = [token for token, said in zip(marked["input_ids"], marked["assistant_masks"], strict=True) if said]
    said = tokenizer.decode(ids)
    if kind == "smollm3":
        assert tokenizer.decode(chat.prompt).endswith("<|im_start|>assistant\n")
        said = said.removeprefix("<|im_start|>assistant\n").removesuffix("\n")
    assert said == tokenizer.decode(chat.completion)


def test_a_spelled_token_is_text(tokenizer: PreTrainedTokenizerBase) -> None:
    """A message that spells the end of a turn does not end it; the naive way to tokenize the chat would."""
    spelled = f"a {tokenizer.eos_token} b {tokenizer.bos_token} c"
    plain = Row(id="0", input="a b c", target="d e f", turns=(("user", "a b c"),))
    row = Row(id="0", input=spelled, target=f"d {tokenizer.eos_token} e", turns=(("user", spelled),))
    chat, usual = (encode_chat(tokenizer, one, one.input, one.target, 999) for one in (row, plain))
    for token in (tokenizer.eos_token_id, tokenizer.bos_token_id):
        assert chat.prompt.count(token) == usual.prompt.count(token)
        assert chat.completion.count(token) == usual.completion.count(token)
    naive = tokenizer(
        tokenizer.apply_chat_template(as_messages(row)[:-1], tokenize=False, add_generation_prompt=True),
        add_special_tokens=False,
    )["input_ids"]
    assert naive.count(tokenizer.eos_token_id) > usual.prompt.count(tokenizer.eos_token_id)
    for ids, text in ((chat.prompt, spelled), (chat.completion, row.target)):
        assert text.replace(" ", "") in tokenizer.decode(ids).replace(" ", "")


def test_signs_that_a_text_has_itself() -> None:
    """A text with characters of the private area, and a spelled token beside them, loses none of them."""
    tokenizer = causal_tokenizer()
    text = "\ue000 a </s> \ue001"
    row = Row(id="0", input=text, target=text)
    chat = encode_chat(tokenizer, row, text, row.target, 999)
    assert tokenizer.decode(chat.prompt).count(text) == 1
    assert tokenizer.decode(chat.completion) == f"{text}</s>"


def test_a_template_without_eos_gets_one() -> None:
    """Where the template does not end a turn with the tokenizer's EOS, one closes the answer."""
    tokenizer = copy.deepcopy(causal_tokenizer())
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    chat = encode_chat(tokenizer, Row(id="0", input="a", target="b"), "a", "b", 99)
    assert tokenizer.decode(chat.prompt) == "user: a\nassistant: "
    assert tokenizer.decode(chat.completion) == "b\n</s>"


@pytest.mark.parametrize(
    ("template", "seen"),
    [
        ("{{ messages | length }}{% for m in messages %}{{ m.content }}{% endfor %}", "does not begin the answered"),
        ("{{ raise_exception('roles must alternate') }}", "refuses it .*roles must alternate"),
    ],
)
def test_templates_that_cannot_be_used(template: str, seen: str) -> None:
    """A template that tells another story once it knows the answer, or refuses the chat: an error names the row."""
    tokenizer = copy.deepcopy(causal_tokenizer())
    tokenizer.chat_template = template
    with pytest.raises(DataError, match=f'Row "seven" cannot be put as a chat: .*{seen}'):
        encode_chat(tokenizer, Row(id="seven", input="a", target="b"), "a", "b", 99)


def test_a_long_question_leaves_the_template_whole() -> None:
    """A prompt is cut inside the question; a template that takes more than half of the limit itself is an error."""
    loaded = load_small("llama")
    row = Row(id="long", input="word " * 200, target="t")
    (encoded,) = make_causal(encoding__chat=True, encoding__max_input_tokens=60).encode([row], loaded)
    text = loaded.tokenizer.decode(encoded.input_ids)
    assert encoded.input_cut
    assert len(encoded.input_ids) == 60
    assert text.startswith("<s><|user|>\nsummarize: word")
    assert text.endswith("word\n<|assistant|>\n")
    with pytest.raises(DataError, match=r"the chat template alone takes \d+ of encoding.max_input_tokens = 8"):
        make_causal(encoding__chat=True, encoding__max_input_tokens=8).encode([row], loaded)


def test_the_form_puts_rows_as_chats() -> None:
    """A row without turns is one question with the task's prefix; with turns, its last turn has the prefix."""
    loaded, form = load_small("llama"), make_causal(encoding__chat=True, encoding__prefix="say: ")
    rows = [
        Row(id="0", input="one", target="two"),
        Row(id="1", input="4?", target="five", turns=(*TURNS[:3], ("user", "4?"))),
    ]
    encoded = form.encode(rows, loaded)
    prompts = [loaded.tokenizer.decode(row.input_ids) for row in encoded]
    assert prompts == [
        "<s><|user|>\nsay: one\n<|assistant|>\n",
        "<s><|system|>\nBe brief.\n<|user|>\nOne two?\n<|assistant|>\nThree.</s><|user|>\nsay: 4?\n<|assistant|>\n",
    ]
    assert [loaded.tokenizer.decode([label for label in row.labels if label != IGNORE_INDEX]) for row in encoded] == [
        "two</s>",
        "five</s>",
    ]
    form.audit(rows, encoded, loaded, form.make_collator(loaded))
    assert form.encoding["chat"] is True


def test_a_chat_without_a_template_is_an_error(tmp_path: Path) -> None:
    """A tokenizer that has no template is named before anything trains; one that has it runs to the end."""
    folder = save_small(tmp_path / "llama")
    settings: dict[str, object] = {
        "model.name": str(folder),
        "encoding.chat": True,
        "encoding.max_input_tokens": 64,
        "data.train_rows": 8,
        "data.eval_rows": 4,
        "training.epochs": 1,
        "generation.max_length": 8,
        "gate.require": ["tuned must beat base on perplexity"],
        "task": "generation",
    }
    experiment = load_experiment("summarization-full").override(settings)
    done = run(experiment, baselines=tmp_path)
    assert done.tuned.manifest.scores["perplexity"] < done.base.manifest.scores["perplexity"]
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match=r"has no chat template, and encoding\.chat is true"):
        run(experiment, baselines=tmp_path)


ESCAPE = "().__class__.__base__.__subclasses__()"
HOSTILE_TEMPLATES = {
    "reaches for classes": ("{{ " + ESCAPE + " }}", "SecurityError"),
    "reaches through a message": ("{{ messages.__class__.__init__.__globals__ }}", "SecurityError"),
    "changes the messages": ("{{ messages.append(1) }}", "SecurityError"),
    "one power": ("{% set x = 3 ** (messages|length * 60000000) %}ok", r"SecurityError: \*\* would make"),
    "tower of powers": ("{{ (9 ** (9 ** 9)) is number }}", r"SecurityError: \*\* would make"),
    "squares of squares": (
        "{% set n = namespace(x=3) %}{% for i in range(99) %}{% set n.x = n.x * n.x %}{% endfor %}ok",
        r"SecurityError: \* would make",
    ),
    "long text": ("{{ 'a' * 999999999 }}", r"SecurityError: \* would make"),
    "never ends": ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "TookTooLong"),
    "fills the memory": ("{{ 'a'.ljust(9999999999) }}", "MemoryError"),
}


@pytest.mark.parametrize("case", HOSTILE_TEMPLATES)
def test_hostile_template_is_refused(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A template that comes with a checkpoint reaches nothing, changes nothing, and ends; the error says why."""
    monkeypatch.setattr("harness.forms.chat.SECONDS", 0.5)
    template, said = HOSTILE_TEMPLATES[case]
    tokenizer = copy.deepcopy(causal_tokenizer())
    tokenizer.chat_template = template
    with pytest.raises(DataError, match=f"the chat template refuses it .*{said}"):
        encode_chat(tokenizer, Row(id="0", input="One?", target="Two."), "One?", "Two.", 999)
