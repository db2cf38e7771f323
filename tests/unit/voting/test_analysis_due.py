"""What makes an analysis due, and after which pause (V9)."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from libs.data.events import Cursor, StoredEvent
from services.voting.jobs import analysis_due
from services.voting.rules_analysis import pause_after

CONVERSATION = str(uuid4())


def event(kind: str, **payload: Any) -> StoredEvent:
    return StoredEvent(Cursor(1, 0), kind, CONVERSATION, 7, payload, datetime.now(UTC))


@pytest.mark.parametrize(
    ("votes", "seconds"), [(0, 1), (1, 1), (5_000, 1), (25_000, 5), (100_000, 20), (113_000, 20), (2_000_000, 20)]
)
def test_large_conversations_are_analysed_every_twenty_seconds_and_small_ones_faster(votes: int, seconds: int) -> None:
    assert pause_after(votes) == seconds


def test_counts_that_moved_make_an_analysis_due_after_a_pause_by_the_number_of_votes() -> None:
    for counters, pause in (
        ({"voting.votes": {CONVERSATION: 50_000}, "voting.visible_votes": {CONVERSATION: 5}}, 10.0),
        ({"voting.visible_votes": {CONVERSATION: 25_000}}, 5.0),
        ({"voting.opinion_agrees": {f"{CONVERSATION}/{uuid4()}": 25_000}}, 1.0),
    ):
        due = analysis_due(event("conversation.counted", counters=counters))
        assert due is not None and (due.key, due.pause) == (CONVERSATION, pause)


@pytest.mark.parametrize("kind", ["conversation.analysis_requested", "conversation.votes_changed"])
def test_asking_for_an_analysis_makes_it_due_no_sooner_than_a_vote_does(kind: str) -> None:
    due = analysis_due(event(kind, vote_count=100_000))
    assert due is not None and (due.key, due.pause) == (CONVERSATION, 20.0)


@pytest.mark.parametrize(
    "kind", ["conversation.analysed", "conversation.created", "petition.counted", "opinion.created"]
)
def test_what_changes_no_vote_makes_no_analysis_due(kind: str) -> None:
    """Above all not an analysis itself: there would be no end of them."""
    assert analysis_due(event(kind, counters={"voting.votes": {CONVERSATION: 1}})) is None
