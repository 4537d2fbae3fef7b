"""Whether the model hub can be reached: asked once, quickly, before a library retries for a minute."""

from __future__ import annotations

import http.client
import os
import queue
import re
import threading
import urllib.error
import urllib.request

from huggingface_hub import constants

from harness.errors import HubError

PROBE_SECONDS = 1.0
"""How long the hub may take to answer at all."""

NO_ANSWER = f"the hub did not answer within {PROBE_SECONDS:g} s"


def looks_like_hub_name(name: str) -> bool:
    """Whether a name could be a hub id (``name`` or ``owner/name``) rather than a path."""
    part = r"[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?"
    return re.fullmatch(rf"{part}(/{part})?", name, re.ASCII) is not None and not re.search(r"--|\.\.", name)


def require_hub(name: str, *, what: str, setting: str, instead: str = "") -> None:
    """Make sure that the hub can be reached.

    Args:
        name: what is asked of it.
        what: what that is, for the message.
        setting: where the name stands.
        instead: what else can be named, as sentences of the message.

    Raises:
        HubError: it cannot; found out in under two seconds.
    """
    reason = why_no_hub()
    if reason is not None:
        raise HubError(
            f'"{name}" is no local path, so it was taken for a {what} of the hub, but {reason}.',
            fix=f"{instead} Give a local path in {setting}, or run again with a network.".lstrip(),
        )


def why_no_hub() -> str | None:
    """Why the hub cannot be reached, or nothing where it can."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "TRUE", "YES", "ON"}:
        return "HF_HUB_OFFLINE is set"
    # In a thread of its own, because looking up a name cannot be given a time limit.
    said: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=lambda: said.put(_ask(constants.ENDPOINT)), daemon=True).start()
    try:
        return said.get(timeout=PROBE_SECONDS)
    except queue.Empty:
        return NO_ANSWER


def _ask(endpoint: str) -> str | None:
    """Why nobody answers there, or nothing where somebody does."""
    try:
        request = urllib.request.Request(endpoint, method="HEAD")  # noqa: S310 - the user's own endpoint
        urllib.request.urlopen(request, timeout=PROBE_SECONDS).close()  # noqa: S310
    except urllib.error.HTTPError:
        return None  # an answer all the same
    except TimeoutError:
        return NO_ANSWER
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        return NO_ANSWER if isinstance(reason, TimeoutError) else f"the hub cannot be reached ({reason})"
    return None
