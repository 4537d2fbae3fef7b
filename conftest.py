"""What all tests share: no network, hypothesis profiles, the real data beside the checkout, models loaded once."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from harness.models.loading import LoadedModel

os.environ["HF_HUB_OFFLINE"] = "1"
# Nobody is told that these tests run: each library by its own name, and those that keep to the common one.
TELEMETRY = {
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
    "WANDB_ERROR_REPORTING": "false",
    "WANDB_MODE": "disabled",
}
os.environ |= TELEMETRY
if "PYTEST_XDIST_WORKER" in os.environ:
    # Workers that each want all processors wait for one another.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
# The C library gives the memory of each large tensor back at once, and the kernel clears it anew for the next: that
# costs a step with a large vocabulary up to two fifths of its time. Workers and programs read this when they start.
for name in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"):
    os.environ.setdefault(name, str(2**32))
# What a shell starts in the background ignores Ctrl-C, and so do its children, to which some tests send one.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)
# Runs of tests do not belong into the summary of the job that tests.
os.environ.pop("GITHUB_STEP_SUMMARY", None)
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

ROOT = Path(__file__).parent
SHARED_DATA = ROOT.parent / "shared" / "data"
pytest_plugins = ["pytester"]

# Times differ too much between machines to fail a test on them.
QUIET = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("dev", max_examples=50, **QUIET)
settings.register_profile("ci", max_examples=100, derandomize=True, **QUIET)
settings.register_profile("thorough", max_examples=2_000, **QUIET)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that lie beside the folders: the longest are among them.

    Begun last, as their names would have it, they leave all other processors waiting at the end.
    """
    items.sort(key=lambda item: item.path.parent != ROOT / "tests")


_modules_frozen = 0


def pytest_runtest_teardown() -> None:
    """Take the modules that were loaded since out of the garbage collector's sight.

    Every training begins with a full collection, and to look through all modules again takes longer than many a
    training of the tests.
    """
    global _modules_frozen  # noqa: PLW0603 - of the whole session
    if len(sys.modules) > _modules_frozen + 100:
        _modules_frozen = len(sys.modules)
        gc.collect()
        gc.freeze()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout; tests that need it skip where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real data is not beside the checkout")
    return SHARED_DATA


@pytest.fixture
def silent_hub() -> Iterator[str]:
    """The address of a server that takes a call and never answers, as a hub behind a wall does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture(scope="session")
def libraries() -> None:
    """All that a run loads, loaded once: an inner session in this process forgets what it has loaded itself."""
    from harness import run  # noqa: PLC0415 - torch loads only for tests that use it
    from tests.small import small_experiment  # noqa: PLC0415

    run(small_experiment())


@pytest.fixture(scope="session")
def tiny_t5() -> LoadedModel:
    """The embedded model; no test may change it."""
    from harness.config import ModelSettings  # noqa: PLC0415 - torch loads only for tests that use it
    from harness.models.loading import load_model  # noqa: PLC0415

    return load_model(ModelSettings(), auto_class="AutoModelForSeq2SeqLM")
