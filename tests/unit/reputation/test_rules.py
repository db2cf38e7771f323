"""What happens to events and reversals: decided without a database, so any order and any split can be tried (G10)."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.data.catalog.reputation import LEDGER_TOTALS
from libs.data.errors import TallyError
from services.reputation.ledger import rules
from services.reputation.ledger.account import average, reliability
from services.reputation.ledger.errors import (
    EventAlreadyRecorded,
    EventAlreadyReversed,
    EventIsAReversal,
    GroupNotFound,
    ReputationEventNotFound,
    RequestIdReused,
    UserNotFound,
)
from services.reputation.ledger.model import Command, Recorded, RecordEvent
from tests.unit.reputation.archive import ANNA, BEN, DAY, GROUP, NO_GROUP, NOBODY, NOON, Archive, record, reverse


def test_an_event_moves_the_score_and_is_the_next_in_the_chain() -> None:
    archive = Archive()
    archive.run(record(1_50), record(-50, user_id=BEN), record(25))
    assert [(e.sequence, e.previous_score, e.new_score) for e in archive.ledger()] == [
        (1, 75_00, 76_50),
        (2, 76_50, 76_75),
    ]
    assert [(e.sequence, e.previous_score, e.new_score) for e in archive.ledger(BEN)] == [(1, 75_00, 74_50)]


def test_a_score_stays_within_its_bounds_and_moves_on_from_there() -> None:
    archive = Archive()
    archive.run(record(999_99), record(-1), record(-999_99), record(-1), record(1))
    assert [e.new_score for e in archive.ledger()] == [99_99, 99_98, 0, 0, 1]
    assert (archive.accounts[ANNA].peak, archive.score()) == (99_99, 1)


def test_unknown_users_groups_and_events_refuse_their_own_commands_only() -> None:
    archive = Archive()
    outcomes = archive.run(
        record(user_id=NOBODY), record(group_id=NO_GROUP), reverse(UUID(int=99)), record(group_id=GROUP), record()
    )
    assert [type(o) for o in outcomes] == [UserNotFound, GroupNotFound, ReputationEventNotFound, Recorded, Recorded]
    assert archive.score() == 77_00


def test_a_reversal_is_an_event_of_its_own_that_takes_away_what_counted() -> None:
    archive = Archive()
    first = archive.one(record(9_50, "food_shared", group_id=GROUP, related_exchange_id=UUID(int=7)))
    second = archive.one(record(1_00, "food_shared"))
    assert (first.counted_impact, second.counted_impact) == (9_50, 50)
    taken = archive.one(reverse(first.event_id, description="a mistake"))
    assert (taken.event_type, taken.impact, taken.reverses_event_id) == ("reversal", -9_50, first.event_id)
    assert (taken.group_id, taken.related_exchange_id, taken.description) == (GROUP, UUID(int=7), "a mistake")
    assert taken.counted_impact == -9_00, "the cap of the day is looked at anew: what is left counts in full"
    assert archive.score() == 76_00
    assert archive.events[first.event_id].reversed_by_event_id == taken.event_id


def test_a_reversal_months_later_counts_on_the_day_of_its_event() -> None:
    archive = Archive()
    event = archive.one(record(6_00, "food_shared"))
    archive.now += 100 * DAY
    archive.one(record(8_00, "food_shared", occurred=archive.now))
    assert archive.one(reverse(event.event_id)).cap_day == NOON.date()
    assert archive.score() == 83_00


def test_an_event_is_taken_back_once_and_a_reversal_never() -> None:
    archive = Archive()
    event = archive.one(record())
    reversal = archive.one(reverse(event.event_id))
    again, of_reversal = archive.run(reverse(event.event_id, 50), reverse(reversal.event_id, 51))
    assert isinstance(again, EventAlreadyReversed) and again.metadata == {"event_id": str(reversal.event_id)}
    assert isinstance(of_reversal, EventIsAReversal)
    assert archive.score() == 75_00


def test_an_event_that_was_not_looked_up_to_be_taken_back_is_not_found() -> None:
    """It may be seen because somebody tells of the same thing again: then the sum of its day is not known."""
    archive = Archive()
    event = archive.one(record(2_00, "dispute_resolved", stream_id="5-1"))
    seen = rules.Seen()
    seen.note(event)
    rows = {ANNA: archive.rows[ANNA] | {"locked_time": NOON}}
    told = record(stream_id="5-1", occurred=NOON + DAY)
    outcomes = rules.decide(rows, seen, [told, reverse(event.event_id)]).outcomes
    assert [type(outcome) for outcome in outcomes] == [EventAlreadyRecorded, ReputationEventNotFound]


def test_an_event_recorded_and_taken_back_in_one_transaction_is_answered_as_it_was() -> None:
    archive = Archive()
    command = record(3_00, "dispute_resolved", request_id=UUID(int=70))
    outcomes = archive.run(command, reverse(command.event_id), reverse(command.event_id, 71), command)
    recorded, taken, again, repeated = outcomes
    assert isinstance(recorded, Recorded) and isinstance(taken, Recorded) and isinstance(repeated, Recorded)
    assert isinstance(again, EventAlreadyReversed)
    assert recorded.event.reversed_by_event_id is None
    assert repeated.replayed and repeated.event == recorded.event
    assert archive.events[command.event_id].reversed_by_event_id == taken.event.event_id
    assert (archive.score(), archive.rows[ANNA]["resolved_disputes"]) == (75_00, 0)


def test_repeating_a_request_answers_the_first_answer_even_after_it_was_taken_back() -> None:
    """G5."""
    archive = Archive()
    command = record(request_id=UUID(int=70), description="watered")
    first = archive.one(command)
    taken = archive.one(reverse(first.event_id, 71, "not at all"))
    for again, answered in (
        (record(request_id=UUID(int=70), description="watered", occurred=NOON + DAY), first),
        (reverse(first.event_id, 71, "not at all"), taken),
    ):
        (outcome,) = archive.run(again)
        assert isinstance(outcome, Recorded) and outcome.replayed
        assert (outcome.event.event_id, outcome.event.token) == (
            answered.event_id,
            archive.events[answered.event_id].token,
        )
        assert outcome.event.reversed_by_event_id is None
    assert len(archive.ledger()) == 2


def test_a_request_that_says_something_else_under_a_used_id_is_refused() -> None:
    """G5."""
    archive = Archive()
    said: dict[str, Any] = {"request_id": UUID(int=70), "stream_id": "a-1", "group_id": GROUP}
    said["related_exchange_id"] = UUID(int=7)
    event = archive.one(record(1_00, **said))
    archive.one(reverse(event.event_id, 71))
    others: list[Command] = [
        record(1_01, **said),
        record(1_00, "garden_dug", **said),
        *(
            record(1_00, **(said | change))
            for change in (
                {"stream_id": None},
                {"group_id": None},
                {"related_exchange_id": None},
                {"description": "x"},
                {"stars": 5},
            )
        ),
        record(1_00, request_id=UUID(int=71)),
        reverse(event.event_id, 71, "x"),
        reverse(event.event_id, 70),
    ]
    assert {type(outcome) for outcome in archive.run(*others)} == {RequestIdReused}
    (outcome,) = archive.run(record(user_id=BEN, request_id=UUID(int=70)))
    assert isinstance(outcome, Recorded), "a request id belongs to its user"


def test_one_thing_has_one_effect_on_a_user_whoever_tells_of_it() -> None:
    archive = Archive()
    told = [
        record(stream_id="5-1", stream_partition=3),
        record(stream_id="5-1", request_id=UUID(int=70)),
        record(stream_id="5-1", user_id=BEN),
        record(stream_id="5-2"),
    ]
    outcomes = archive.run(*told) + archive.run(*told)
    kinds = [Recorded, EventAlreadyRecorded, Recorded, Recorded]
    assert [type(outcome) for outcome in outcomes] == [*kinds, *[EventAlreadyRecorded] * 4]
    assert [outcome.metadata for outcome in outcomes if isinstance(outcome, TallyError)][:2] == [
        {"event_id": str(told[0].event_id)}
    ] * 2


def test_totals_and_averages_are_of_the_events_that_stand() -> None:
    archive = Archive()
    events = [
        archive.one(record(event_type="food_rated", stars=5)),
        archive.one(record(event_type="food_rated", stars=4)),
        archive.one(record(event_type="food_rated", stars=2)),
        archive.one(record(event_type="food_claimed")),
        archive.one(record(event_type="food_shared")),
        archive.one(record(event_type="claim_expired")),
        archive.one(record(event_type="petition_escalated")),
    ]
    row, account = archive.rows[ANNA], archive.accounts[ANNA]
    assert (row["food_rating_count"], row["food_rating_stars"], account.average_food_rating) == (3, 11, 3_67)
    assert (row["total_exchanges_completed"], row["total_food_claimed"], row["total_food_shared"]) == (2, 1, 1)
    assert (row["no_show_count"], row["community_contributions"], account.reliability) == (1, 1, 66_67)
    archive.run(*(reverse(event.event_id) for event in events))
    account = archive.accounts[ANNA]
    assert {counter.name: row[counter.column] for counter in LEDGER_TOTALS if row[counter.column]} == {}
    assert (account.average_food_rating, account.reliability) == (0, 75_00)


def test_a_rating_that_somebody_records_without_stars_is_in_no_average() -> None:
    archive = Archive()
    archive.run(record(event_type="recipient_rated", stars=5), record(event_type="recipient_rated"))
    assert archive.rows[ANNA]["recipient_rating_count"] == 1
    assert archive.accounts[ANNA].average_recipient_rating == 5_00


@pytest.mark.parametrize(
    ("stars", "ratings", "expected"), [(0, 0, 0), (5, 1, 5_00), (11, 3, 3_67), (1, 8, 13), (7, 200, 4)]
)
def test_averages_round_half_up(stars: int, ratings: int, expected: int) -> None:
    assert average(stars, ratings) == expected


@pytest.mark.parametrize(
    ("claimed", "no_shows", "expected"),
    [(0, 0, 75_00), (1, 0, 80_00), (0, 1, 60_00), (10**6, 0, 99_99), (0, 10**6, 0), (2, 2, 62_50)],
)
def test_reliability_begins_at_75_and_stays_below_100(claimed: int, no_shows: int, expected: int) -> None:
    assert reliability(claimed, no_shows) == expected


def test_a_trend_compares_with_where_the_present_week_began() -> None:
    archive = Archive()
    trends = []
    for days, impact in ((1, 99), (2, 1), (3, -1_01), (6, -1_00), (8, -50), (9, -50), (16, 30)):
        archive.now = NOON + days * DAY
        archive.run(record(impact))
        trends.append(archive.accounts[ANNA].trend)
    assert trends == ["stable", "rising", "stable", "falling", "stable", "falling", "stable"]
    assert (archive.accounts[ANNA].trend_base_score, archive.accounts[ANNA].trend_base_time) == (72_99, NOON + 16 * DAY)


def test_times_rise_also_where_the_clock_goes_back() -> None:
    archive = Archive()
    archive.run(record(), record())
    archive.now -= 2 * DAY
    archive.run(record(), record())
    times = [event.created_time for event in archive.ledger()]
    assert all(later - earlier == timedelta(microseconds=1) for earlier, later in pairwise(times))


def test_activity_moves_forward_to_when_things_happened_and_no_reversal_is_one() -> None:
    archive = Archive()
    event = archive.one(record(occurred=NOON + 2 * DAY))
    archive.run(record(occurred=NOON + DAY), reverse(event.event_id))
    assert archive.accounts[ANNA].last_activity == NOON + 2 * DAY


@pytest.mark.parametrize(
    ("late", "status"), [(0, "synced"), (60, "synced"), (60.9, "synced"), (61, "lagging"), (-5, "synced")]
)
def test_what_the_stream_tells_late_is_told_to_lag(late: float, status: str) -> None:
    archive = Archive()
    archive.now = NOON + DAY
    occurred = archive.now - timedelta(seconds=late)
    archive.run(record(occurred=occurred, stream_id="5-1", stream_partition=2), record(stream_id="somebody's"))
    account = archive.accounts[ANNA]
    assert (account.last_stream_event_id, account.stream_lag_seconds) == ("5-1", max(0, int(late)))
    assert account.sync_status == status


# -- any sequence, in any batches

EVENTS = st.tuples(
    st.sampled_from(["food_shared", "claim_expired", "food_rated", "dispute_resolved", "garden_watered"]),
    st.integers(-30_00, 30_00),
    st.sampled_from([ANNA, BEN]),
    st.integers(0, 2),
)
STEPS = st.lists(st.one_of(EVENTS, st.integers(0, 8)), max_size=25)


def commands_of(steps: Sequence[object]) -> list[Command]:
    """Events, and reversals of the events before them; some of what is taken back was before, or never was."""
    commands: list[Command] = []
    recorded: list[RecordEvent] = []
    for n, step in enumerate(steps, start=1):
        if isinstance(step, tuple):
            event_type, impact, user_id, day = step
            stars = 1 + abs(impact) % 5 if event_type == "food_rated" else None
            event = record(
                impact, event_type, user_id, occurred=NOON + day * DAY, stars=stars, event_id=UUID(int=1000 + n)
            )
            recorded.append(event)
            commands.append(event)
        else:
            assert isinstance(step, int)
            wanted = recorded[step % len(recorded)].event_id if recorded else UUID(int=1)
            taken = reverse(wanted, 2000 + n)
            taken.reversal_id = UUID(int=3000 + n)
            commands.append(taken)
    return commands


@given(STEPS, st.lists(st.integers(1, 6), max_size=25))
def test_any_sequence_in_any_batches_replays_to_the_stored_score(steps: list[object], sizes: list[int]) -> None:
    """G10: and leaves what the same commands leave one by one. `Archive.check` replays after every batch."""
    commands = commands_of(steps)
    alone, shared = Archive(), Archive()
    expected = [outcome for command in commands for outcome in alone.run(command)]
    outcomes, rest = [], commands
    for size in [*sizes, len(commands)]:
        batch, rest = rest[:size], rest[size:]
        outcomes += shared.run(*batch)
    assert [str(o) if isinstance(o, TallyError) else o.event for o in outcomes] == [
        str(o) if isinstance(o, TallyError) else o.event for o in expected
    ]
    assert shared.rows == alone.rows
    assert shared.day_sums == alone.day_sums


@given(st.lists(EVENTS, max_size=6), st.randoms(use_true_random=False))
def test_away_from_the_bounds_of_the_score_the_order_of_events_does_not_matter(
    steps: list[tuple[str, int, UUID, int]], random: object
) -> None:
    """G10: caps are of days, not of sequences."""
    gentle = [(event_type, impact // 10, user_id, day) for event_type, impact, user_id, day in steps]
    commands = commands_of(gentle)
    shuffled = list(commands)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = Archive(), Archive()
    one.run(*commands)
    other.run(*shuffled)
    assert (one.score(ANNA), one.score(BEN)) == (other.score(ANNA), other.score(BEN))
    assert one.day_sums == other.day_sums
