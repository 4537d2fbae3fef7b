"""Starts programs on several processes by torchrun, one thread each."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SECONDS = 300
"""What ends later hangs."""
HERE = Path(__file__).parent


def command(processes: int, *arguments: object) -> list[str]:
    """The command line: torchrun for several processes, plain Python for one."""
    words = [str(argument) for argument in arguments]
    if processes == 1:
        return [sys.executable, *words]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    return [*torchrun, *words]


def environment() -> dict[str, str]:
    """One thread a process, as torchrun sets it, so that all round alike."""
    # transformers greets users of wandb on standard output.
    kept = {name: value for name, value in os.environ.items() if name != "WANDB_MODE"}
    return {**kept, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


def launch(processes: int, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run to the end."""
    return subprocess.run(
        command(processes, *arguments), env=environment(), capture_output=True, text=True, timeout=SECONDS, check=False
    )


def require_success(done: subprocess.CompletedProcess[str]) -> None:
    """Show what went wrong."""
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
