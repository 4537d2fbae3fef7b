"""Whether the model hub can be reached: asked once, quickly, before a library retries for a minute."""

from __future__ import annotations

import os
import re
import threading
import urllib.error
import urllib.request

from huggingface_hub import constants

from harness.errors import HubError

PROBE_SECONDS = 1.0
"""How long the hub may take to answer at all."""


def looks_like_hub_name(name: str) -> bool:
    """Whether a name could be a hub id (``name`` or ``owner/name``) rather than a path."""
    part = r"[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?"
    return re.fullmatch(rf"{part}(/{part})?", name, re.ASCII) is not None and not re.search(r"--|\.\.", name)


def require_hub(name: str, *, what: str, setting: str) -> None:
    """Make sure that the hub can be reached.

    Raises:
        HubError: it cannot; found out in under two seconds.
    """
    reason = why_no_hub()
    if reason is not None:
        raise HubError(
            f'"{name}" is no local path, so it was taken for a {what} of the hub, but {reason}.',
            fix=f"Give a local path in {setting}, or run again with a network.",
        )


def why_no_hub() -> str | None:
    """Why the hub cannot be reached, or nothing where it can."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "TRUE", "YES", "ON"}:
        return "HF_HUB_OFFLINE is set"
    if not _answers(constants.ENDPOINT):
        return f"the hub did not answer within {PROBE_SECONDS:g} s"
    return None


def _answers(endpoint: str) -> bool:
    """Ask in a thread of its own, because looking up a name cannot be given a time limit."""
    answered = threading.Event()
    threading.Thread(target=_ask, args=(endpoint, answered), daemon=True).start()
    return answered.wait(PROBE_SECONDS)


def _ask(endpoint: str, answered: threading.Event) -> None:
    try:
        request = urllib.request.Request(endpoint, method="HEAD")  # noqa: S310 - the user's own endpoint
        urllib.request.urlopen(request, timeout=PROBE_SECONDS).close()  # noqa: S310
    except urllib.error.HTTPError:
        pass  # an answer all the same
    except (OSError, ValueError):
        return
    answered.set()
