"""Thresholds: crossed once a crossing, reversed when the count falls below, crossed again when it comes back (G3)."""

import asyncio

from tally.petition.v1 import petition_service_pb2 as messages

from tests.services.petition.people import Petitions, a_signature, new_uuid
from tests.stored import Connection, event_kinds, events_of


async def escalation_events(db: Connection, petition_id: str) -> list[tuple[str, int, int]]:
    rows = await db.fetch(
        "SELECT kind, (payload->>'threshold')::integer AS threshold, (payload->>'co_signer_count')::integer AS n "
        "FROM operations.events WHERE aggregate_id = $1 AND kind LIKE 'petition.escalat%' ORDER BY xid, position",
        petition_id,
    )
    return [(row["kind"], row["threshold"], row["n"]) for row in rows]


async def test_the_signature_that_reaches_a_threshold_is_told_and_nobody_else_is(
    petitions: Petitions, db: Connection
) -> None:
    """G3."""
    petition_id = (await petitions.create(escalation_thresholds=[1, 3])).petition_id
    crossed = [list((await petitions.sign(petition_id)).crossed_thresholds) for _ in range(4)]
    assert crossed == [[1], [], [3], []]
    assert await petitions.escalations(petition_id) == [("crossed", 1, 1, 1), ("crossed", 3, 3, 3)]
    assert await escalation_events(db, petition_id) == [("petition.escalated", 1, 1), ("petition.escalated", 3, 3)]


async def test_a_threshold_is_crossed_once_inside_a_batch(petitions: Petitions, db: Connection) -> None:
    """G3."""
    petition_id = (await petitions.create(escalation_thresholds=[2, 3, 500])).petition_id
    requests = [a_signature(petition_id) for _ in range(600)]
    answer = await petitions.stub.BatchCoSign(messages.BatchCoSignRequest(requests=requests))
    crossed = {r.co_sign.co_sign.ordinal: list(r.co_sign.crossed_thresholds) for r in answer.results}
    assert {ordinal: thresholds for ordinal, thresholds in crossed.items() if thresholds} == {
        2: [2],
        3: [3],
        500: [500],
    }
    assert await petitions.escalations(petition_id) == [
        ("crossed", 2, 2, 2),
        ("crossed", 3, 3, 3),
        ("crossed", 500, 500, 500),
    ]
    assert [threshold for _, threshold, _ in await escalation_events(db, petition_id)] == [2, 3, 500]


async def test_a_threshold_is_crossed_once_on_a_stream(petitions: Petitions) -> None:
    """G3."""
    petition_id = (await petitions.create(escalation_thresholds=[100])).petition_id
    results = await petitions.stream([a_signature(petition_id) for _ in range(150)])
    crossing = [r.co_sign.co_sign.ordinal for r in results if r.co_sign.crossed_thresholds]
    assert crossing == [100]
    assert await petitions.escalations(petition_id) == [("crossed", 100, 100, 100)]


async def test_a_threshold_is_crossed_once_by_people_who_sign_together(petitions: Petitions, db: Connection) -> None:
    """G3."""
    petition_id = (await petitions.create(escalation_thresholds=[50])).petition_id
    answers = await asyncio.gather(*(petitions.sign(petition_id) for _ in range(100)))
    assert [a.co_signer_count for a in answers if a.crossed_thresholds] == [50]
    assert await escalation_events(db, petition_id) == [("petition.escalated", 50, 50)]


async def test_a_withdrawal_below_a_threshold_reverses_it_and_a_new_signature_crosses_it_again(
    petitions: Petitions, db: Connection
) -> None:
    """G3: each passing is recorded, each once."""
    petition = await petitions.create(escalation_thresholds=[2])
    petition_id = petition.petition_id
    first, _ = await petitions.signed_by(petition_id, 2)
    withdrawn = await petitions.withdraw_signature(petition_id, first)
    assert list(withdrawn.reversed_thresholds) == [2]
    assert list((await petitions.sign(petition_id)).crossed_thresholds) == [2]
    assert await petitions.escalations(petition_id) == [
        ("crossed", 2, 2, 2),
        ("reversed", 2, 1, 0),
        ("crossed", 2, 2, 3),
    ]
    told = {payload.get("submitter_id") for kind, payload in await events_of(db, petition_id) if "escalat" in kind}
    assert told == {petition.submitter_id}
    assert await escalation_events(db, petition_id) == [
        ("petition.escalated", 2, 2),
        ("petition.escalation_reversed", 2, 1),
        ("petition.escalated", 2, 2),
    ]


async def test_a_withdrawal_above_a_threshold_reverses_nothing(petitions: Petitions) -> None:
    petition_id = (await petitions.create(escalation_thresholds=[2])).petition_id
    first, *_ = await petitions.signed_by(petition_id, 3)
    assert not (await petitions.withdraw_signature(petition_id, first)).reversed_thresholds
    assert await petitions.escalations(petition_id) == [("crossed", 2, 2, 2)]


async def test_an_invalidation_reverses_every_threshold_it_falls_below(petitions: Petitions, db: Connection) -> None:
    """G3: highest first, as the count passes them."""
    petition_id = (await petitions.create(escalation_thresholds=[1, 3, 5, 9])).petition_id
    users = await petitions.signed_by(petition_id, 7)
    answer = await petitions.invalidate(petition_id, users[:6])
    assert (answer.invalidated_count, answer.co_signer_count) == (6, 1)
    assert list(answer.reversed_thresholds) == [3, 5]
    assert (await petitions.escalations(petition_id))[3:] == [("reversed", 5, 1, 0), ("reversed", 3, 1, 0)]
    assert (await event_kinds(db, petition_id)).count("petition.escalation_reversed") == 2
    await petitions.signed_by(petition_id, 4)
    assert (await petitions.escalations(petition_id))[5:] == [("crossed", 3, 3, 9), ("crossed", 5, 5, 11)]


async def test_escalations_are_listed_in_pages_in_the_order_they_happened(petitions: Petitions) -> None:
    petition_id = (await petitions.create(escalation_thresholds=list(range(1, 11)))).petition_id
    users = await petitions.signed_by(petition_id, 10)
    await petitions.invalidate(petition_id, users)
    expected = await petitions.escalations(petition_id)
    assert len(expected) == 20
    listed, token = [], ""
    while True:
        page = await petitions.stub.ListEscalations(
            messages.ListEscalationsRequest(petition_id=petition_id, page_size=3, page_token=token)
        )
        listed += [(e.threshold, e.co_signer_count, e.ordinal) for e in page.escalations]
        assert all(e.petition_id == petition_id and e.HasField("recorded_time") for e in page.escalations)
        token = page.next_page_token
        if not token:
            break
        assert len(page.escalations) == 3
    assert listed == [passing[1:] for passing in expected]


async def test_a_petition_without_passings_lists_none(petitions: Petitions) -> None:
    assert await petitions.escalations((await petitions.create()).petition_id) == []


async def test_a_repeated_signature_does_not_cross_again(petitions: Petitions, db: Connection) -> None:
    """G3 and G5."""
    petition_id = (await petitions.create(escalation_thresholds=[1])).petition_id
    request = a_signature(petition_id, new_uuid())
    for _ in range(3):
        assert list((await petitions.stub.CoSign(request)).crossed_thresholds) == [1]
    assert await escalation_events(db, petition_id) == [("petition.escalated", 1, 1)]
