"""A real browser without a window: Debian's chromium, or Chrome where that is what there is."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from html import escape, unescape
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
DARK = "--blink-settings=preferredColorScheme=0"
"""As if the reader's system were set to dark."""


def find_browser() -> str:
    """The browser's path. Where there is none the test is skipped, but in CI it fails."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no chromium: apt-get install chromium")
    return found


def browse(page: Path, *options: str, profile: Path) -> str:
    """Open a page, and return its elements as they are once all scripts have run."""
    command = [find_browser(), *OPTIONS, f"--user-data-dir={profile}", "--virtual-time-budget=2000", *options]
    done = subprocess.run(
        [*command, "--dump-dom", page.as_uri()], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout


def measure(page: Path, script: str, *options: str, width: int, profile: Path) -> Any:
    """What a script finds in a copy of a page, shown in a frame of so many pixels: windows have a least width.

    The copy lacks the policy that would keep the script from running.
    """
    text = page.read_text(encoding="utf-8")
    without = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    assert without != text
    probe = f"<script>parent.document.title = JSON.stringify((() => {{{script}}})())</script>"
    framed = escape(without.replace("</body>", f"{probe}</body>"))
    copy = page.with_name(f"measured-{page.name}")
    frame = f'<iframe style="border:0" width="{width}" height="900" srcdoc="{framed}"></iframe>'
    copy.write_text(f"<!doctype html><title></title><meta charset=utf-8>{frame}", encoding="utf-8")
    dom = browse(copy, f"--window-size={max(600, width + 40)},1000", *options, profile=profile)
    title = re.search("<title>(.*?)</title>", dom, re.DOTALL)
    assert title is not None
    return json.loads(unescape(title[1]))
