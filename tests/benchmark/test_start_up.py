"""How fast the program and the plugin start, by pytest-benchmark."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

COMMANDS = {
    "help": [sys.executable, "-m", "harness", "--help"],
    "plugin": [sys.executable, "-c", "import harness.plugin"],
    "pytest alone": [sys.executable, "-c", "import pytest"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_start_up(benchmark: BenchmarkFixture, name: str) -> None:
    """``harness --help`` as a process, and the plugin's import beside that of pytest, which every session pays."""
    done = benchmark.pedantic(
        subprocess.run, args=(COMMANDS[name],), kwargs={"capture_output": True}, rounds=5, warmup_rounds=1
    )
    assert done.returncode == 0
