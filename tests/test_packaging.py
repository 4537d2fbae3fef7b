"""What is in the wheel, and in the archive of sources."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BUILD = "import sys; from setuptools import build_meta; print(getattr(build_meta, sys.argv[1])(sys.argv[2]))"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A copy of what is in git, the wheel and the archive of sources that are made of it."""
    pytest.importorskip("setuptools", minversion="77")
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("out")
    listed = subprocess.run(["git", "-C", ROOT, "ls-files"], capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no clone")
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    # The wheel second: it leaves a folder behind, of which nothing may go into the archive.
    for kind in ("build_sdist", "build_wheel"):
        command = [sys.executable, "-c", BUILD, kind, str(out)]
        subprocess.run(command, cwd=source, check=True, capture_output=True, text=True)
    (wheel,), (archive,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return source, wheel, archive


@pytest.mark.slow
def test_wheel_is_typed_and_whole(built: tuple[Path, Path, Path]) -> None:
    """The mark of types, each file of the package that is no code, and the licence; no tests, no documents."""
    source, wheel, _ = built
    with zipfile.ZipFile(wheel) as file:
        names = {name for name in file.namelist() if not name.endswith("/")}
    shipped = {name for name in names if name.startswith("harness/")}
    assert "harness/py.typed" in shipped
    assert shipped == {
        path.relative_to(source).as_posix() for path in (source / "harness").rglob("*") if path.is_file()
    }
    (about,) = {name.partition("/")[0] for name in names - shipped}
    assert f"{about}/licenses/LICENSE" in names


@pytest.mark.slow
def test_archive_of_sources_builds_and_holds_no_half_of_the_tests(built: tuple[Path, Path, Path]) -> None:
    """Everything of the package, licence and README; tests, which need the whole checkout, are left out whole."""
    source, _, archive = built
    with tarfile.open(archive) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    package = {path.relative_to(source).as_posix() for path in (source / "harness").rglob("*") if path.is_file()}
    assert package | {"LICENSE", "README.md", "pyproject.toml"} <= names
    assert not [name for name in names if name.split("/")[0] in {"tests", "docs", "baselines", "conftest.py"}]
