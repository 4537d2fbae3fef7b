"""What a new baseline would change."""

from __future__ import annotations

import numpy as np

from harness.baselines import Baseline, review, say_review
from harness.comparison import align_metrics, compare
from harness.config import GateSettings
from tests.arms import make_arm

SETTINGS = GateSettings(flips=1_000)


def baseline_of(scores: list[float], outputs: list[str], **changes: object) -> Baseline:
    base = make_arm([1.0] * len(scores), outputs=["b"] * len(scores))
    return Baseline(base=base, tuned=make_arm(scores, role="tuned", outputs=outputs, **changes))  # type: ignore[arg-type]


def test_scores_and_the_rows_that_moved_most_are_shown() -> None:
    """The three largest losses and gains of the rows whose output changed, with both texts; others are left out."""
    before = [50.0] * 20
    moves = dict(zip(range(8), (-30.0, -20.0, -10.0, -1.0, 1.0, 10.0, 20.0, 30.0), strict=True))
    after = [score + moves.get(row, 0.0) for row, score in enumerate(before)]
    stored = baseline_of(before, [f"old {row}" for row in range(20)], environment={"torch": "2.12"})
    new = baseline_of(
        after, [f"new {row}" if row in moves else f"old {row}" for row in range(20)], environment={"torch": "2.13"}
    )
    base, tuned = review(stored, new, SETTINGS)
    assert base.moved == ()
    assert [row.delta for row in tuned.moved] == [-30, -20, -10, 10, 20, 30]
    assert (tuned.moved[0].stored, tuned.moved[0].new) == ("old 0", "new 0")
    text = "\n".join(say_review(tuned))
    for part in ("8 of 20 outputs changed", "50.00 →    50.00", "rouge1 -30.00", "stored: old 0", "torch 2.12 → 2.13"):
        assert part in text
    assert "old 3" not in text
    assert "identical" in say_review(base)[0]


def test_arms_that_cannot_be_compared_say_why() -> None:
    """Other rows: the difference is named, and no number is shown."""
    stored, new = baseline_of([1.0, 2.0], ["a", "b"]), baseline_of([1.0, 2.0, 3.0], ["a", "b", "c"])
    for found in review(stored, new, SETTINGS):
        assert found.moved == ()
        assert any("different rows (2 of 3" in line for line in say_review(found))


def test_every_seed_is_reviewed() -> None:
    """The scores shown are the means over the seeds."""
    rng = np.random.default_rng(0)
    scores = rng.normal(50, 5, 30)
    one, two = scores.tolist(), (scores + 10).tolist()
    outputs = [f"o {row}" for row in range(30)]
    stored, new = baseline_of(one, outputs), baseline_of(one, [f"n {row}" for row in range(30)])
    more = new.tuned.model_copy(update={"rows": make_arm(two, outputs=outputs).rows})
    both = Baseline(base=new.base, tuned=new.tuned, others=(more,))
    uneven = review(stored, both, SETTINGS)[1]
    assert uneven.comparison.seeds == 2
    assert uneven.comparison.metrics[0].by_seed == (0.0, 10.0)


def test_control_characters_cannot_rule_the_terminal() -> None:
    """An output with an escape sequence is shown as text, on one line, cut where it is long."""
    stored = baseline_of([1.0], ["\x1b[31m red\n" + "x" * 400])
    new = baseline_of([2.0], ["plain"])
    lines = say_review(review(stored, new, SETTINGS)[1])
    assert all(line.isprintable() for line in lines)
    assert max(map(len, lines)) < 350


def test_numbers_stand_below_one_another() -> None:
    """However long the names of metrics are, and however large their scores."""
    names = {"f1": 1.0, "perplexity": 10_008.0, "facts_invented": 50.0}
    base, tuned = (make_arm({name: [score + more] * 10 for name, score in names.items()}) for more in (0, 30))
    lines = align_metrics(compare(tuned, base, SETTINGS, title="t").metrics)
    assert [line.split()[0] for line in lines] == list(names)
    assert len({line.index("→") for line in lines}) == len({len(line) for line in lines}) == 1
