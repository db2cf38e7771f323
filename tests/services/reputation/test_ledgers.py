"""RecordReputationEvent, ReverseReputationEvent, ListReputationEvents and VerifyReputation."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tally.reputation.v1 import reputation_service_pb2 as messages

from tests.servers import refused
from tests.services.claims.coupons import became_of
from tests.services.petition.people import new_uuid
from tests.services.reputation.ledgers import Ledgers, a_group, a_reversal, an_event, ledgers_add_up
from tests.stored import Connection, event_kinds, everything


async def test_an_event_is_in_the_ledger_with_the_score_before_and_after(ledgers: Ledgers, db: Connection) -> None:
    user_id, group_id, exchange_id = await ledgers.register(), await a_group(db), new_uuid()
    request = an_event(
        user_id.upper(),
        "roof_mended",
        "-12.5",
        group_id=group_id,
        related_exchange_id=exchange_id,
        description="In the rain.\nTwice.",
        stream_id="visits/7",
    )
    answer = await ledgers.stub.RecordReputationEvent(request)
    event = answer.event
    assert (event.user_id, event.sequence, event.event_type) == (user_id, 1, "roof_mended")
    assert (event.impact_score, event.counted_impact) == ("-12.50", "-12.50")
    assert (event.previous_score, event.new_score) == ("75.00", "62.50")
    assert (event.group_id, event.related_exchange_id) == (group_id, exchange_id)
    assert (event.description, event.stream_id) == ("In the rain.\nTwice.", "visits/7")
    assert (event.reverses_event_id, event.reversed_by_event_id) == ("", "")
    assert abs(event.created_time.ToDatetime(UTC) - datetime.now(UTC)) < timedelta(minutes=1)
    assert (answer.replayed, bool(answer.commit_token)) == (False, True)
    assert await ledgers.events(user_id) == [event]
    assert await event_kinds(db, user_id) == ["user.created", "user.registered", "user.counted"]
    await ledgers_add_up(db)


@pytest.mark.parametrize(
    ("impacts", "scores"),
    [
        (["999.99", "-0.01"], ["99.99", "99.98"]),
        (["-999.99", "+0.01"], ["0.00", "0.01"]),
        (["0", "-0", "+0.0", "0.5", "007.5"], ["75.00", "75.00", "75.00", "75.50", "83.00"]),
    ],
)
async def test_scores_are_decimals_within_0_and_99_99(
    ledgers: Ledgers, db: Connection, impacts: list[str], scores: list[str]
) -> None:
    user_id = await ledgers.register()
    assert [(await ledgers.record(user_id, impact=impact)).new_score for impact in impacts] == scores
    reputation = await ledgers.reputation(user_id)
    assert reputation.overall_score == scores[-1]
    assert reputation.peak_reputation == max("75.00", *scores)
    await ledgers_add_up(db)


async def test_a_day_counts_no_more_than_its_cap_and_gives_room_again_when_an_event_is_taken_back(
    ledgers: Ledgers, db: Connection
) -> None:
    user_id = await ledgers.register()
    events = [await ledgers.record(user_id, "dispute_resolved", "4.00") for _ in range(4)]
    assert [event.counted_impact for event in events] == ["4.00", "4.00", "2.00", "0.00"]
    taken = [(await ledgers.reverse(event.event_id)).counted_impact for event in events]
    assert taken == ["0.00", "-2.00", "-4.00", "-4.00"]
    reputation = await ledgers.reputation(user_id)
    assert (reputation.overall_score, reputation.resolved_disputes, reputation.event_count) == ("75.00", 0, 8)
    assert reputation.peak_reputation == "85.00"
    await ledgers_add_up(db)


async def test_what_was_taken_back_names_what_took_it_back(ledgers: Ledgers, db: Connection) -> None:
    user_id, group_id = await ledgers.register(), await a_group(db)
    event = await ledgers.record(user_id, "food_claimed", "0.50", group_id=group_id, related_exchange_id=new_uuid())
    answer = await ledgers.stub.ReverseReputationEvent(a_reversal(event.event_id.upper(), "It never came."))
    reversal = answer.event
    assert (reversal.sequence, reversal.event_type, reversal.impact_score) == (2, "reversal", "-0.50")
    assert (reversal.reverses_event_id, reversal.description) == (event.event_id, "It never came.")
    assert (reversal.group_id, reversal.related_exchange_id) == (group_id, event.related_exchange_id)
    assert (answer.replayed, bool(answer.commit_token)) == (False, True)
    stored = await ledgers.events(user_id)
    assert [each.reversed_by_event_id for each in stored] == [reversal.event_id, ""]
    reputation = await ledgers.reputation(user_id)
    assert (reputation.total_food_claimed, reputation.reliability_score) == (0, "75.00")
    await ledgers_add_up(db)


async def test_what_cannot_be_taken_back_is_told_apart(ledgers: Ledgers, db: Connection) -> None:
    event = await ledgers.record(await ledgers.register())
    reversal = await ledgers.reverse(event.event_id)
    before = await everything(db)
    for event_id, code, reason, metadata in (
        (new_uuid(), "NOT_FOUND", "REPUTATION_EVENT_NOT_FOUND", {}),
        (event.event_id, "FAILED_PRECONDITION", "EVENT_ALREADY_REVERSED", {"event_id": reversal.event_id}),
        (reversal.event_id, "FAILED_PRECONDITION", "EVENT_IS_A_REVERSAL", {}),
    ):
        answer = await refused(ledgers.stub.ReverseReputationEvent(a_reversal(event_id)))
        assert (*answer.said, answer.metadata) == (code, reason, metadata)
    assert await everything(db) == before


async def test_of_ten_who_take_an_event_back_at_once_one_does(ledgers: Ledgers, db: Connection) -> None:
    user_id = await ledgers.register()
    event = await ledgers.record(user_id, impact="5.00")
    calls = [became_of(ledgers.stub.ReverseReputationEvent(a_reversal(event.event_id))) for _ in range(10)]
    assert sorted(await asyncio.gather(*calls)) == [*["EVENT_ALREADY_REVERSED"] * 9, "done"]
    assert (await ledgers.reputation(user_id)).overall_score == "75.00"
    await ledgers_add_up(db)


async def test_a_group_that_does_not_exist_is_not_found(ledgers: Ledgers, db: Connection) -> None:
    user_id = await ledgers.register()
    before = await everything(db)
    answer = await refused(ledgers.stub.RecordReputationEvent(an_event(user_id, group_id=new_uuid())))
    assert answer.said == ("NOT_FOUND", "GROUP_NOT_FOUND")
    assert await everything(db) == before


async def test_one_thing_has_one_effect_on_a_user(ledgers: Ledgers, db: Connection) -> None:
    """G7: whatever the request; on somebody else it has one too."""
    user_id, other = await ledgers.register(), await ledgers.register()
    event = await ledgers.record(user_id, stream_id="5-1")
    before = await everything(db)
    answer = await refused(ledgers.stub.RecordReputationEvent(an_event(user_id, impact="2.00", stream_id="5-1")))
    assert (*answer.said, answer.metadata) == ("ALREADY_EXISTS", "EVENT_ALREADY_RECORDED", {"event_id": event.event_id})
    assert await everything(db) == before
    assert (await ledgers.record(other, stream_id="5-1")).new_score == "76.00"


@pytest.mark.parametrize("rpc", ["RecordReputationEvent", "ReverseReputationEvent"])
async def test_repeating_a_request_answers_the_first_answer(ledgers: Ledgers, db: Connection, rpc: str) -> None:
    """G5: sent ten times at once and again later, also when the event has been taken back meanwhile."""
    user_id = await ledgers.register()
    request: Any = an_event(user_id, "dispute_resolved", "3", stream_id="5-1", description="It was mine.")
    if rpc == "ReverseReputationEvent":
        request = a_reversal((await ledgers.record(user_id)).event_id, "It was not.")
    call = getattr(ledgers.stub, rpc)
    answers = await asyncio.gather(*(call(request) for _ in range(10)))
    if rpc == "RecordReputationEvent":
        await ledgers.reverse(answers[0].event.event_id)
    before = await everything(db)
    answers.append(await call(request))
    assert sorted(answer.replayed for answer in answers) == [False, *[True] * 10]
    assert len({(answer.event.SerializeToString(), answer.commit_token) for answer in answers}) == 1
    request.description = "Something else."
    assert (await refused(call(request))).said == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED")
    assert await everything(db) == before
    await ledgers_add_up(db)


async def test_a_ledger_is_listed_newest_first_in_pages(ledgers: Ledgers) -> None:
    user_id = await ledgers.register()
    events = [await ledgers.record(user_id, impact=f"0.0{n}") for n in range(7)]
    found: list[Any] = []
    first = await ledgers.stub.ListReputationEvents(messages.ListReputationEventsRequest(user_id=user_id, page_size=3))
    token = ""
    for size in (3, 3, 1):
        request = messages.ListReputationEventsRequest(user_id=user_id, page_size=size, page_token=token)
        page = await ledgers.stub.ListReputationEvents(request)
        assert len(page.events) == size
        found += page.events
        token = page.next_page_token
    assert (found, token) == (events[::-1], "")
    other = messages.ListReputationEventsRequest(user_id=await ledgers.register())
    assert not (await ledgers.stub.ListReputationEvents(other)).events
    for wrong in ("x", first.next_page_token):
        other.page_token = wrong
        answer = await refused(ledgers.stub.ListReputationEvents(other))
        assert answer.said == ("INVALID_ARGUMENT", "INVALID_PAGE_TOKEN")


async def test_a_ledger_verifies_until_somebody_tampers_with_it(ledgers: Ledgers, db: Connection) -> None:
    """G10: a score, a link, an impact, a gap: each is found, and what the events give is told beside what is stored."""
    user_id = await ledgers.register()
    for impact in ("20.00", "9.00", "-3.25"):
        await ledgers.record(user_id, impact=impact)
    good = await ledgers.verify(user_id)
    assert (good.stored_score, good.replayed_score, good.consistent, good.event_count) == ("96.74", "96.74", True, 3)
    kept = await db.fetch("SELECT * FROM reputation.reputation_events")
    for tampering, stored, replayed, count in (
        ("UPDATE reputation.user_global_reputation SET overall_score = 90.00", "90.00", "96.74", 3),
        ("UPDATE reputation.user_global_reputation SET event_count = 4", "96.74", "96.74", 3),
        ("UPDATE reputation.reputation_events SET previous_score = 94.00 WHERE sequence = 2", "96.74", "96.74", 3),
        ("UPDATE reputation.reputation_events SET new_score = 94.00 WHERE sequence = 2", "96.74", "96.74", 3),
        ("UPDATE reputation.reputation_events SET counted_impact = 1 WHERE sequence = 2", "96.74", "92.75", 3),
        ("UPDATE reputation.reputation_events SET sequence = 9 WHERE sequence = 3", "96.74", "96.74", 3),
        ("DELETE FROM reputation.reputation_events WHERE sequence = 1", "96.74", "80.75", 2),
    ):
        await db.execute(tampering)
        bad = await ledgers.verify(user_id)
        assert (bad.stored_score, bad.replayed_score, bad.consistent, bad.event_count) == (
            stored,
            replayed,
            False,
            count,
        )
        await db.execute("UPDATE reputation.user_global_reputation SET overall_score = 96.74, event_count = 3")
        await db.execute("DELETE FROM reputation.reputation_events")
        await db.copy_records_to_table(
            "reputation_events",
            schema_name="reputation",
            records=[tuple(row) for row in kept],
            columns=list(kept[0].keys()),
        )
        assert (await ledgers.verify(user_id)).consistent
