"""InvalidateCoSigns: signatures removed for fraud, counters following exactly."""

import asyncio
from datetime import timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from tally.petition.v1 import petition_service_pb2 as messages

from services.petition import store_petitions
from tests.servers import refused
from tests.services.petition.people import Petitions, new_uuid
from tests.stored import Connection, counters_equal_rows, event_kinds, everything


def by_users(petition_id: str, *users: str, reason: str = "bought") -> messages.InvalidateCoSignsRequest:
    return messages.InvalidateCoSignsRequest(
        petition_id=petition_id,
        users=messages.UserSelection(user_ids=users),
        reason=reason,
        request_id=new_uuid(),
    )


def by_window(petition_id: str, start: Timestamp, end: Timestamp) -> messages.InvalidateCoSignsRequest:
    return messages.InvalidateCoSignsRequest(
        petition_id=petition_id,
        signed_window=messages.TimeWindow(start_time=start, end_time=end),
        reason="a wave from one address",
        request_id=new_uuid(),
    )


async def test_signatures_of_chosen_users_are_removed_and_those_who_never_signed_passed_over(
    petitions: Petitions, db: Connection
) -> None:
    petition_id, other = (await petitions.create()).petition_id, (await petitions.create()).petition_id
    stays, *go = await petitions.signed_by(petition_id, 4, region_code="DE")
    await petitions.sign(other, go[0])
    answer = await petitions.stub.InvalidateCoSigns(by_users(petition_id, *go, new_uuid()))
    assert (answer.invalidated_count, answer.co_signer_count, answer.more) == (3, 1, False)
    assert answer.commit_token and not answer.replayed
    await counters_equal_rows(db)
    assert str(await db.fetchval("SELECT user_id FROM petition.co_signs WHERE petition_id = $1", petition_id)) == stays
    assert await petitions.count(other) == 1
    kept = await db.fetch("SELECT removal, reason, removal_count, user_id::text FROM petition.removed_co_signs")
    assert {(row["removal"], row["reason"], row["removal_count"]) for row in kept} == {("invalidated", "bought", 1)}
    assert {row["user_id"] for row in kept} == set(go)
    assert "petition.co_signs_invalidated" in await event_kinds(db, petition_id)


async def test_signatures_of_a_stretch_of_time_are_removed_start_included_end_not(
    petitions: Petitions, db: Connection
) -> None:
    petition_id = (await petitions.create()).petition_id
    signed = [(await petitions.sign(petition_id)).co_sign for _ in range(5)]
    answer = await petitions.stub.InvalidateCoSigns(
        by_window(petition_id, signed[1].signed_time, signed[3].signed_time)
    )
    assert (answer.invalidated_count, answer.co_signer_count, answer.more) == (2, 3, False)
    standing = await db.fetch("SELECT ordinal FROM petition.co_signs ORDER BY ordinal")
    assert [row[0] for row in standing] == [1, 4, 5]
    await counters_equal_rows(db)


async def test_a_selection_larger_than_one_transaction_takes_says_that_more_is_left(
    petitions: Petitions, db: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_petitions, "MAX_INVALIDATED", 2)
    petition_id = (await petitions.create()).petition_id
    signed = [(await petitions.sign(petition_id)).co_sign for _ in range(5)]
    end = Timestamp()
    end.FromDatetime(signed[-1].signed_time.ToDatetime() + timedelta(seconds=1))
    answers = []
    for _ in range(3):
        answers.append(await petitions.stub.InvalidateCoSigns(by_window(petition_id, signed[0].signed_time, end)))
        await counters_equal_rows(db)
    assert [(a.invalidated_count, a.co_signer_count, a.more) for a in answers] == [
        (2, 3, True),
        (2, 1, True),
        (1, 0, False),
    ]


async def test_signatures_of_a_closed_or_withdrawn_petition_can_be_invalidated(petitions: Petitions) -> None:
    closed, withdrawn = await petitions.create(), await petitions.create()
    users = [await petitions.signed_by(petition.petition_id, 2) for petition in (closed, withdrawn)]
    await petitions.close(closed.petition_id)
    await petitions.withdraw(withdrawn)
    assert (await petitions.invalidate(closed.petition_id, users[0][:1])).co_signer_count == 1
    assert (await petitions.invalidate(withdrawn.petition_id, users[1])).co_signer_count == 0


async def test_a_selection_of_nobody_who_signed_changes_no_count_and_tells_nobody(
    petitions: Petitions, db: Connection
) -> None:
    petition_id = (await petitions.create()).petition_id
    await petitions.sign(petition_id)
    kinds = await event_kinds(db, petition_id)
    answer = await petitions.stub.InvalidateCoSigns(by_users(petition_id, new_uuid()))
    assert (answer.invalidated_count, answer.co_signer_count) == (0, 1)
    assert await event_kinds(db, petition_id) == kinds
    await counters_equal_rows(db)


async def test_repeating_an_invalidation_answers_the_first_and_removes_nothing_more_g5(
    petitions: Petitions, db: Connection
) -> None:
    """G5: also of users who have signed again since."""
    petition_id = (await petitions.create(escalation_thresholds=[2])).petition_id
    users = await petitions.signed_by(petition_id, 3)
    request = by_users(petition_id, *users[:2])
    answers = await asyncio.gather(*(petitions.stub.InvalidateCoSigns(request) for _ in range(10)))
    assert sorted(answer.replayed for answer in answers) == [False, *[True] * 9]
    assert {
        (a.invalidated_count, a.co_signer_count, tuple(a.reversed_thresholds), a.commit_token) for a in answers
    } == {(2, 1, (2,), answers[0].commit_token)}
    await petitions.sign(petition_id, users[0])
    before = await everything(db)
    assert (await petitions.stub.InvalidateCoSigns(request)).replayed
    request.users.user_ids.reverse()
    assert (await petitions.stub.InvalidateCoSigns(request)).replayed, "the order of a selection says nothing"
    assert await everything(db) == before


async def test_a_request_id_cannot_be_used_for_an_invalidation_that_says_something_else(
    petitions: Petitions, db: Connection
) -> None:
    one, other = (await petitions.create()).petition_id, (await petitions.create()).petition_id
    users = await petitions.signed_by(one, 3)
    request = by_users(one, users[0])
    await petitions.stub.InvalidateCoSigns(request)
    before = await everything(db)
    changed = [by_users(one, *users), by_users(other, users[0]), by_users(one, users[0], reason="another")]
    changed.append(by_window(one, Timestamp(seconds=1), Timestamp(seconds=2)))
    for wanted in changed:
        wanted.request_id = request.request_id
        answer = await refused(petitions.stub.InvalidateCoSigns(wanted))
        assert (*answer.said, answer.fields) == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED", ["request_id"])
    assert await everything(db) == before
