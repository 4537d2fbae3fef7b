"""The HTML report in a real browser: nothing runs, nothing sticks out, everything can be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.report.account import give_account
from harness.report.checks import CheckLine
from harness.report.html import write_html
from tests.arms import make_arm
from tests.browser import DARK, browse, measure
from tests.runs import HOSTILE, make_run

PHONE, DESKTOP = 360, 1280
"""Widths in pixels."""
READABLE = 4.5
"""Contrast of text with its ground, WCAG 2.2, success criterion 1.4.3."""

CONTRASTS = """
const parse = colour => (colour.match(/[0-9.]+/g) || []).map(Number);
const light = colour => parse(colour).slice(0, 3).map(c => c / 255)
  .map(c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
  .reduce((sum, c, n) => sum + c * [.2126, .7152, .0722][n], 0);
const ground = element => {
  for (; element; element = element.parentElement) {
    const colour = getComputedStyle(element).backgroundColor;
    if (parse(colour)[3] !== 0) return colour;
  }
  return 'rgb(255, 255, 255)';
};
const found = [];
for (const element of document.querySelectorAll('body *')) {
  const own = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
  if (!own || ['SCRIPT', 'STYLE'].includes(element.tagName)) continue;
  const style = getComputedStyle(element);
  const pair = [light(element.namespaceURI.endsWith('svg') ? style.fill : style.color), light(ground(element))];
  found.push([(Math.max(...pair) + .05) / (Math.min(...pair) + .05), element.textContent.trim().slice(0, 40)]);
}
return {worst: found.sort((a, b) => a[0] - b[0])[0], count: found.length,
        paper: light(getComputedStyle(document.body).backgroundColor)};
"""
LAYOUT = """
const wide = [...document.querySelectorAll('main *')]
  .filter(e => !e.closest('.scroll') && !e.closest('svg') && e.getBoundingClientRect().right > innerWidth + 1)
  .map(e => e.tagName + '.' + e.className);
const texts = [...document.querySelectorAll('svg text')].map(text => {
  const place = text.getScreenCTM();
  return Math.hypot(place.a, place.b) * parseFloat(getComputedStyle(text).fontSize);
});
const charts = [...document.querySelectorAll('svg')].flatMap(svg => {
  const box = svg.getBoundingClientRect();
  return [...svg.querySelectorAll('text')].map(t => t.getBoundingClientRect())
    .filter(r => r.left < box.left - 1 || r.right > box.right + 1 || r.bottom > box.bottom + 1).length;
});
return {width: innerWidth, page: document.documentElement.scrollWidth, wide, smallest: Math.min(...texts),
        outside: charts.reduce((a, b) => a + b, 0),
        columns: new Set([...document.querySelectorAll('.row:first-of-type .texts > div')]
          .map(e => Math.round(e.getBoundingClientRect().left))).size};
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with hostile rows, a stored baseline, and checks."""
    rng = np.random.default_rng(0)
    base = rng.normal(40, 9, 60).tolist()
    run = make_run(base, rng.normal(44, 9, 60).tolist(), stored=make_arm([value + 3 for value in base]))
    checks = tuple(
        CheckLine(name=f"{HOSTILE} {status}", status=status, seen=HOSTILE, remedy="Mend it.")
        for status in ("passed", "failed", "skipped")
    )
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(write_html(give_account(run, checks)), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_nothing_sticks_out(page: Path, tmp_path: Path, width: int) -> None:
    """On a phone and on a desk no element is wider than the window, and texts of charts are large enough and inside."""
    seen = measure(page, LAYOUT, width=width, profile=tmp_path)
    assert seen["width"] == width
    assert seen["wide"] == []
    assert seen["page"] <= seen["width"]
    assert seen["smallest"] >= 9
    assert seen["outside"] == 0
    assert seen["columns"] == (1 if width == PHONE else 3)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_can_be_read(page: Path, tmp_path: Path, scheme: str) -> None:
    """In light and in dark, every text has a contrast of 4.5 with its ground, and the ground is what it should be."""
    seen = measure(page, CONTRASTS, *([DARK] if scheme == "dark" else []), width=DESKTOP, profile=tmp_path)
    assert seen["count"] > 100
    assert seen["worst"][0] >= READABLE, seen["worst"]
    assert (seen["paper"] > 0.5) == (scheme == "light")


def test_no_script_of_a_row_runs(page: Path, tmp_path: Path) -> None:
    """Opened as it is, the page still has the title it was written with, and its hostile texts as text."""
    dom = browse(page, profile=tmp_path)
    assert "<title>x: improved</title>" in dom
    assert "&lt;script&gt;alert" in dom
    assert "<script" not in dom


def test_policy_stops_a_script_that_came_in_all_the_same(page: Path, tmp_path: Path) -> None:
    """Were a text not escaped, the policy would keep its script from running; without the policy it runs."""
    attack = "<script>document.title = 'attacked'</script><img src=x onerror=\"document.title = 'attacked'\">"
    text = page.read_text(encoding="utf-8").replace("</body>", f"{attack}</body>")
    attacked = tmp_path / "attacked.html"
    attacked.write_text(text, encoding="utf-8")
    assert "<title>x: improved</title>" in browse(attacked, profile=tmp_path / "one")
    attacked.write_text(text.replace("Content-Security-Policy", "x-nothing"), encoding="utf-8")
    assert "<title>attacked</title>" in browse(attacked, profile=tmp_path / "two")
