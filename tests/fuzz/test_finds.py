"""What fuzzing found, each find as a test of its own."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from harness.baselines.approval import APPROVAL_FILE, read_approval
from harness.cli import COMMANDS, cli
from harness.cli.report import report_command
from harness.config import load_experiment
from harness.errors import BaselineError, ModelError, SettingsError, UsageError
from tests.fuzz.models import make_adapter, make_checkpoint, make_tagger, use_adapter, use_checkpoint, use_tagger
from tests.fuzz.texts import make_run_folder


@pytest.mark.parametrize("value", [[], {}, "x", None])
def test_edited_verdict_is_no_traceback(tmp_path: Path, value: object) -> None:
    """Facts of a run that hold something else than a run writes; the file is named."""
    make_run_folder(tmp_path)
    path = tmp_path / "verdict.json"
    facts = json.loads(path.read_text(encoding="utf-8"))
    facts["training"]["first_loss"] = value
    path.write_text(json.dumps(facts), encoding="utf-8")
    done = CliRunner().invoke(report_command, [str(tmp_path)])
    assert isinstance(done.exception, UsageError)
    assert "verdict.json is no part of a whole run: it was edited" in str(done.exception)


@pytest.mark.parametrize("text", ["[]", "[1]", '"x"', "null", "1"])
def test_approval_that_is_no_object_is_no_traceback(tmp_path: Path, text: str) -> None:
    """A list can be popped from as well; the file is named."""
    (tmp_path / APPROVAL_FILE).write_text(text, encoding="utf-8")
    with pytest.raises(BaselineError, match=r"approval\.json is damaged: "):
        read_approval(tmp_path)


@pytest.mark.parametrize("value", [0.5, "x", 2**40, [1]])
def test_adapter_of_an_impossible_shape_is_no_traceback(tmp_path: Path, value: object) -> None:
    """PEFT and torch fail in their own ways; here it is an adapter that does not fit."""
    make_adapter("lora")(tmp_path)
    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), "r": value}), encoding="utf-8")
    (tmp_path / "base.json").write_text(json.dumps({"sha256": "0" * 64}), encoding="utf-8")
    with pytest.raises(ModelError, match=r"cannot be put on its base|no adapter that can be used"):
        use_adapter(tmp_path, b"")


@pytest.mark.parametrize("pattern", ["(.*)*x", "(?x:([\\w.]+)#\n+!)", "(?P<a>.)x"])
@pytest.mark.parametrize("name", ["target_modules", "exclude_modules", "rank_pattern"])
def test_pattern_that_is_matched_for_ever_is_refused(tmp_path: Path, name: str, pattern: str) -> None:
    """By the adapter's own settings; nothing can stop a match that has begun."""
    make_adapter("lora")(tmp_path)
    path = tmp_path / "adapter_config.json"
    value = {pattern: 1} if name == "rank_pattern" else pattern
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), name: value}), encoding="utf-8")
    (tmp_path / "base.json").write_text(json.dumps({"sha256": "0" * 64}), encoding="utf-8")
    with pytest.raises(ModelError, match=f"{name} = "):
        use_adapter(tmp_path, b"")


def test_half_of_a_character_in_settings_is_refused(tmp_path: Path) -> None:
    """Before the training, after which the settings could not be written down."""
    path = tmp_path / "experiment.json"
    path.write_text('{"name": "x", "encoding": {"prefix": "\\ud800"}}', encoding="utf-8")
    with pytest.raises(SettingsError, match="holds half of a character"):
        load_experiment(str(path))


def test_path_that_is_too_long_is_no_path(tmp_path: Path) -> None:
    """A value that no file system can hold is taken for a name, which is then not found."""
    path = tmp_path / "harness.toml"
    path.write_text(f'name = "x"\n[data]\nsource = "{"x" * 70_000}"\n[checks]\npipeline = "{"x" * 70_000}:y"\n')
    assert len(load_experiment(str(path)).data.source) == 70_000


def test_adapter_with_settings_that_nest_wrongly_is_no_traceback(tmp_path: Path) -> None:
    """PEFT leaves out what it does not know and tries again, without end where that stands within a group."""
    make_adapter("lora")(tmp_path)
    path = tmp_path / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | {"corda_config": {"a": 1}}
    path.write_text(json.dumps(config), encoding="utf-8")
    (tmp_path / "base.json").write_text(json.dumps({"sha256": "0" * 64}), encoding="utf-8")
    with pytest.raises(ModelError, match="no adapter that can be used"):
        use_adapter(tmp_path, b"")


@pytest.mark.parametrize("command", COMMANDS)
def test_no_number_of_a_command_line_may_be_nan(command: str) -> None:
    """It is within every range, for it is neither below nor above; nothing that is measured against it is a result."""
    for parameter in list_numbers(command):
        for value in ("nan", "inf", "-inf"):
            with pytest.raises(click.BadParameter, match="is not in the range"):
                parameter.type.convert(value, parameter, None)


@pytest.mark.parametrize("value", ["x", [1], {}, True])
def test_longest_input_that_is_no_number_is_no_traceback(tmp_path: Path, value: object) -> None:
    """Transformers compares it with the length of a text whenever it has tokenized one."""
    make_checkpoint(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | {"model_max_length": value}
    path.write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ModelError, match=r"model_max_length|cannot be loaded"):
        use_checkpoint(tmp_path, b"")


def test_tokenizer_without_the_unknown_token_that_it_names_is_no_traceback(tmp_path: Path) -> None:
    """The library says so at the first word that it does not know, in the middle of a run."""
    make_tagger(tmp_path)
    path = tmp_path / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    del content["model"]["vocab"][content["model"]["unk_token"]]
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ModelError, match="cannot read a text"):
        use_tagger(tmp_path, b"")


def list_numbers(command: str) -> list[click.Parameter]:
    """The numbers with a point that a command, or one under it, takes."""
    found = cli.get_command(click.Context(cli), command)
    assert found is not None
    commands = [found, *found.commands.values()] if isinstance(found, click.Group) else [found]
    return [each for one in commands for each in one.params if isinstance(each.type, click.types.FloatParamType)]
