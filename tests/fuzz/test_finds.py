"""What fuzzing found, each find as a test of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli.report import report_command
from harness.errors import ModelError, UsageError
from tests.fuzz.models import make_adapter, use_adapter
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


@pytest.mark.parametrize("value", [0.5, "x", 2**40, [1]])
def test_adapter_of_an_impossible_shape_is_no_traceback(tmp_path: Path, value: object) -> None:
    """PEFT and torch fail in their own ways; here it is an adapter that does not fit."""
    make_adapter("lora")(tmp_path)
    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), "r": value}), encoding="utf-8")
    (tmp_path / "base.json").write_text(json.dumps({"sha256": "0" * 64}), encoding="utf-8")
    with pytest.raises(ModelError, match=r"cannot be put on its base|no adapter that can be used"):
        use_adapter(tmp_path, b"")
