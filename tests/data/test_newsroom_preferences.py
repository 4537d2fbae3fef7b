"""Preference pairs of the newsroom: the chosen answer is right, the rejected one has just the fault it is named for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.data.newsroom import draw_event, write_document, write_summary
from harness.data.newsroom.preferences import SWAPPED, write_preferences
from harness.metrics.facts import judge_facts

EVENTS = st.builds(draw_event, st.integers(0, 5), st.integers(0, 500))


@given(EVENTS)
def test_rejected_answers_have_their_fault_and_no_other(event: object) -> None:
    """A swapped fact is the distractor's and the only one invented; padding adds words and takes none away."""
    found = {preference.fault: preference for preference in write_preferences(event)}
    assert set(found) == {"padded", *SWAPPED}
    summary = write_summary(event).text
    for fault, preference in found.items():
        judged = judge_facts(preference.rejected, event)
        assert preference.chosen == summary
        if fault == "padded":
            assert preference.rejected.startswith(f"{summary} ")
            assert len(preference.rejected.split()) > len(summary.split()) + 3
            assert not judged.invented
            assert judged.told == judged.asked
        else:
            assert len(judged.asked - judged.told) == 1
            # A swapped number may stand in the document as a piece of something else, as the day in "8 October".
            strange = set(preference.rejected.split()) - set(summary.split())
            told = write_document(event).text.split()
            assert len(judged.invented) == 1 or all(word.strip(".") in told for word in strange)
