"""What is in the wheel."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BUILD = "import sys; from setuptools.build_meta import build_wheel; print(build_wheel(sys.argv[1]))"


@pytest.mark.slow
def test_wheel_is_typed_and_whole(tmp_path: Path) -> None:
    """The mark of types, and each file of the package that is no code, are shipped; tests and documents are not."""
    pytest.importorskip("setuptools", minversion="77")
    source = tmp_path / "source"
    shutil.copytree(ROOT / "harness", source / "harness", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-c", BUILD, str(tmp_path)]
    subprocess.run(command, cwd=source, check=True, capture_output=True, text=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        shipped = {name for name in file.namelist() if name.startswith("harness/")}
        others = {name.partition("/")[0] for name in file.namelist()} - {"harness"}
    assert "harness/py.typed" in shipped
    assert shipped == {
        path.relative_to(source).as_posix() for path in (source / "harness").rglob("*") if path.is_file()
    }
    assert len(others) == 1
