"""What users import."""

from __future__ import annotations

import subprocess
import sys

import harness


def test_public_names_are_these() -> None:
    """The public surface is small, sorted, and every name can be had; a name more or less is meant, or fails here."""
    assert set(harness.__all__) == {
        "Arm", "AuditReport", "Comparison", "Declared", "ExitCode", "Experiment", "HarnessError", "Lesson", "Outcome",
        "Pipeline", "Row", "Run", "Trained", "Verdict", "audit", "check_labels", "compare", "fine_tune",
        "load_experiment", "parametrize_with_checks", "run",
    }  # fmt: skip
    assert harness.__all__ == sorted(harness.__all__, key=lambda name: (name.lower() == name, name))
    assert all(getattr(harness, name).__doc__ for name in harness.__all__)
    assert dir(harness) == sorted(harness.__all__)
    assert not hasattr(harness, "nothing")


def test_light_imports_load_nothing_heavy() -> None:
    """The package, the plugin and the command line load neither torch nor transformers, datasets or numpy."""
    program = (
        "import sys, harness, harness.plugin, harness.cli; "
        "print(sorted({'torch', 'transformers', 'datasets', 'numpy', 'pydantic', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_can_go_wrong_is_found_before_torch_loads() -> None:
    """Settings, rows and model are looked at with modules that load neither torch nor matplotlib."""
    program = (
        "import sys, harness.experiment, harness.data.source, harness.models.locate, harness.report.folder; "
        "print(sorted({'torch', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
