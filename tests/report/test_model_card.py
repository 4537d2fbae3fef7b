"""Model cards: huggingface_hub reads back what was written, and what a card held stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from huggingface_hub import EvalResult, ModelCard, metadata_load
from hypothesis import given
from hypothesis import strategies as st

from harness.cli.card import card_command
from harness.errors import UsageError
from harness.report.account import Account, give_account
from harness.report.folder import write_run
from harness.report.model_card import write_card
from tests.runs import make_run

METADATA = """language: en
license: mit
tags:
- mine
my-own-key: [1, 2]
model-index:
- name: my-model
  results:
  - task: {type: summarization}
    dataset: {type: newsroom, name: newsroom}
    metrics:
    - {type: rouge1, value: 1.5}
    - {type: bleu, value: 7.5}
  - task: {type: summarization}
    dataset: {type: xsum, name: XSum}
    metrics:
    - {type: rouge1, value: 30.0}
"""


@pytest.fixture(scope="module")
def account() -> Account:
    return give_account(make_run([20.0, 21.0] * 20, [40.0, 43.0] * 20))


def results(readme: Path) -> dict[tuple[str, str], EvalResult]:
    card = ModelCard.load(readme)
    return {(result.dataset_type, result.metric_type): result for result in card.data.eval_results or ()}


def test_new_card_is_valid_and_says_what_was_compared(account: Account, tmp_path: Path) -> None:
    """Without a card one is made: its results pass huggingface_hub's checks and name base, delta, interval and rows."""
    readme = tmp_path / "README.md"
    write_card(account, readme)
    card = ModelCard.load(readme)
    assert card.data.model_name == "x"
    assert (card.data.library_name, card.data.pipeline_tag) == ("transformers", "summarization")
    (result,) = results(readme).values()
    assert (result.task_type, result.dataset_type, result.metric_type) == ("summarization", "newsroom", "rouge1")
    assert result.metric_value == 41.5
    assert result.metric_args is not None
    assert (result.metric_args["base"], result.metric_args["delta"], result.metric_args["rows"]) == (20.5, 21.0, 40)
    low, high = result.metric_args["interval"]
    assert low < 21 < high
    assert "The tuned model is better than its base" in card.text
    assert (metadata_load(readme) or {})["model-index"][0]["results"][0]["metrics"][0]["type"] == "rouge1"


def test_existing_card_keeps_its_text_and_other_results(account: Account, tmp_path: Path) -> None:
    """The same score is replaced, others and all other metadata stay, and doing it twice changes nothing more."""
    readme = tmp_path / "README.md"
    text = "\n# My model\n\nWritten by hand. --- and | and `code`\n---\nmore\n"
    readme.write_text(f"---\n{METADATA}---\n{text}", encoding="utf-8")
    write_card(account, readme)
    once = readme.read_bytes()
    found = results(readme)
    assert {key: result.metric_value for key, result in found.items()} == {
        ("newsroom", "bleu"): 7.5, ("xsum", "rouge1"): 30.0, ("newsroom", "rouge1"): 41.5,
    }  # fmt: skip
    metadata = metadata_load(readme) or {}
    assert metadata["model-index"][0]["name"] == "my-model"
    assert (metadata["language"], metadata["tags"], metadata["my-own-key"]) == ("en", ["mine"], [1, 2])
    assert readme.read_text(encoding="utf-8").endswith(f"---\n{text}")
    write_card(account, readme)
    assert readme.read_bytes() == once
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


@given(
    text=st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.just("\n"), max_size=80),
    ends=st.sampled_from(["\n", "\r\n"]),
    metadata=st.sampled_from(["", "---\nlicense: mit\n---\n", f"---\n{METADATA}---\n"]),
)
def test_whatever_the_text_it_stays(
    account: Account, tmp_path_factory: pytest.TempPathFactory, *, text: str, ends: str, metadata: str
) -> None:
    """Any text, with either kind of line ends, with or without metadata before it, is still there, byte for byte."""
    readme = tmp_path_factory.mktemp("card") / "README.md"
    text = f"# Title\n{text}".replace("\n", ends)
    readme.write_bytes((metadata.replace("\n", ends) + text).encode())
    write_card(account, readme)
    assert readme.read_bytes().endswith(text.encode())
    assert ("newsroom", "rouge1") in results(readme)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("---\n- a list\n---\n# T\n", "cannot be read as a model card"),
        ("---\na: [\n---\n# T\n", "cannot be read as a model card"),
        ("---\nmodel-index:\n- name: a\n---\n# T\n", "cannot be read as a model card"),
        (
            "---\nmodel-index:\n- {name: a, results: []}\n- {name: b, results: []}\n---\n# T\n",
            "holds the results of 2 models: a, b",
        ),
    ],
)
def test_card_that_would_lose_something_is_left_alone(
    account: Account, tmp_path: Path, content: str, message: str
) -> None:
    """Metadata that cannot be read, or several models in one card, end in an error, and the card is as it was."""
    readme = tmp_path / "README.md"
    readme.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        write_card(account, readme)
    assert readme.read_text(encoding="utf-8") == content


def test_command_takes_a_stored_run(tmp_path: Path) -> None:
    """``harness card RUN_FOLDER --readme FILE --name NAME`` writes the card from what is on disk."""
    folder = write_run(make_run([1.0, 2.0, 3.0], [9.0, 8.0, 7.0]), tmp_path)
    readme = tmp_path / "CARD.md"
    arguments = [str(folder), "--readme", str(readme), "--name", "mine"]
    CliRunner().invoke(card_command, arguments, catch_exceptions=False)
    assert ModelCard.load(readme).data.model_name == "mine"
