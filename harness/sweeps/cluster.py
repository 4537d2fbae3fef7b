"""The runner of a cluster: each cell is a task of Ray (extra ``ray``)."""

from __future__ import annotations

import logging
import os
import socket
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from typing import Any

from harness.errors import UsageError
from harness.sweeps.runner import Ended, Failure, Runner, Work, Workplace, attempt, lost
from harness.sweeps.settings import Sweep

TRAVELS = ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_PROGRESS_BARS", "TQDM_DISABLE", "TRANSFORMERS_VERBOSITY")
"""What of the environment the workers need to know."""

PATIENCE = 10.0
"""Seconds in which the head of a cluster must take a call."""


class Ray:
    """A cluster that this process is connected to.

    Args:
        options: what a task takes of a node.
    """

    # Nodes may differ in their processors; a folder that many of them filled would be no one's.
    describes_device = False

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options

    def run(self, work: Work, items: Mapping[str, Any]) -> Iterator[tuple[str, Ended]]:
        """See `Runner`. Ray queues what no node has room for; that nodes come and go is its matter."""
        import ray  # noqa: PLC0415 - an extra
        from ray.exceptions import RayError, RayTaskError  # noqa: PLC0415

        # Who runs a sweep decides about retries: Ray's own would hide the errors.
        task = ray.remote(max_retries=0, **self._options)(quiet_attempt)
        running = {task.remote(work, item): key for key, item in items.items()}
        try:
            while running:
                # What has ended is fetched before anything else can happen to the node that has it.
                ready, _ = ray.wait(list(running), num_returns=1, fetch_local=True)
                for reference in ready:
                    key = running.pop(reference)
                    try:
                        ended = ray.get(reference)
                    except RayTaskError as error:
                        # The work itself catches its errors: this one stood before it, as a package that a node lacks.
                        cause = error.cause or error
                        ended = Ended(failure=Failure(kind=type(cause).__name__, message=say_error(cause)))
                    except RayError as error:
                        ended = lost(f"The worker of this cell was lost ({type(error).__name__}: {say_error(error)}).")
                    yield key, ended
        finally:
            for reference in running:
                ray.cancel(reference, force=True)


def quiet_attempt(work: Work, item: Any) -> Ended:
    """One try, without the warnings of libraries between our lines."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return attempt(work, item)


def say_error(error: BaseException) -> str:
    """An error in one line: the first that says something."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "")[:300]


def require_answer(address: str) -> None:
    """Make sure that somebody listens at an address: Ray itself would try for minutes.

    Raises:
        UsageError: nobody does.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdecimal()):
        return
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE):
            pass
    except (OSError, OverflowError) as error:
        raise no_cluster(address, error) from error


def no_cluster(address: str | None, error: Exception) -> UsageError:
    """What is said where there is no cluster."""
    return UsageError(
        f"No Ray cluster answers at {address or 'this machine'}: {say_error(error)}.",
        fix="Look at it with ray status; --address auto is that of this machine.",
    )


@contextmanager
def open_ray(sweep: Sweep, place: Workplace) -> Iterator[Runner]:
    """Connect to a cluster; without an address to that of ``RAY_ADDRESS``, or else to one on this machine alone.

    Raises:
        UsageError: Ray is not installed, or there is no such cluster.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise UsageError(
            "Ray is not installed, and --engine ray needs it.",
            fix="Install it: pip install ray; or leave out --engine: the local one needs nothing.",
        ) from error
    if place.address:
        require_answer(place.address)
    known = {name: os.environ[name] for name in TRAVELS if name in os.environ}
    settings: dict[str, Any] = {} if place.address else {"include_dashboard": False}
    if place.address is None and "RAY_ADDRESS" not in os.environ and place.workers:
        settings["num_cpus"] = place.workers * sweep.threads
    try:
        ray.init(
            place.address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"env_vars": {**known, "OMP_NUM_THREADS": str(sweep.threads)}},
            **settings,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise no_cluster(place.address, error) from error
    try:
        # What Ray has to say of its nodes must not stand between the lines of a report.
        with redirect_stdout(sys.stderr):
            yield Ray({"num_cpus": sweep.threads, "num_gpus": sweep.gpus})
    finally:
        ray.shutdown()
