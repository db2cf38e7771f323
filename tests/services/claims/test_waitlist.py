"""JoinWaitlist, and serving those who wait: first come, first served."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from tests.servers import refused
from tests.services.claims.coupons import Coupons, a_place, a_restock, became_of, coupon_service, coupons_add_up
from tests.services.petition.people import new_uuid
from tests.stored import Connection, event_kinds, everything


async def test_whoever_joins_is_told_the_place_and_the_coupon_how_many_wait(coupons: Coupons, db: Connection) -> None:
    """G2: rows and counter are there when the answer is."""
    name = await coupons.sold_out()
    for place in (1, 2, 3):
        user = new_uuid()
        answer = await coupons.join(name, user)
        assert (answer.place.coupon_name, answer.place.user_id, answer.place.position) == (name, user, place)
        assert abs(answer.place.joined_time.ToDatetime(UTC) - datetime.now(UTC)) < timedelta(minutes=1)
        assert answer.commit_token and not answer.replayed and not answer.HasField("claim")
        coupon = await coupons.get(name)
        assert (coupon.waiting_count, coupon.remaining_amount, coupon.claim_count) == (place, 0, 1)
        await coupons_add_up(db)


async def test_where_there_is_stock_joining_claims_at_once(coupons: Coupons, db: Connection) -> None:
    """G4: nobody waits beside stock."""
    name = await coupons.create(2)
    user = new_uuid()
    answer = await coupons.join(name, user)
    assert (answer.claim.coupon_name, answer.claim.user_id, answer.claim.ordinal) == (name, user, 1)
    assert answer.commit_token and not answer.replayed and not answer.HasField("place")
    coupon = await coupons.get(name)
    assert (coupon.remaining_amount, coupon.waiting_count, list(coupon.claimed_by)) == (1, 0, [user])
    assert await coupons.claims(name) == [(1, user)]
    await coupons_add_up(db)


async def test_an_unknown_coupon_has_no_line(coupons: Coupons, db: Connection) -> None:
    before = await everything(db)
    answer = await refused(coupons.join("There is none"))
    assert answer.said == ("NOT_FOUND", "COUPON_NOT_FOUND")
    assert await everything(db) == before


async def test_a_user_stands_in_line_once_and_is_told_where_and_since_when(coupons: Coupons, db: Connection) -> None:
    name, user = await coupons.sold_out(), new_uuid()
    await coupons.join(name)
    first = await coupons.join(name, user)
    before = await everything(db)
    answer = await refused(coupons.join(name, user.upper()))
    assert answer.said == ("ALREADY_EXISTS", "ALREADY_WAITING")
    joined = first.place.joined_time.ToDatetime(UTC)
    assert datetime.fromisoformat(answer.metadata.pop("joined_time")) == joined
    assert answer.metadata == {"user_id": user, "position": "2"}
    assert await everything(db) == before


async def test_whoever_has_a_claim_need_not_wait(coupons: Coupons, db: Connection) -> None:
    """Claimed directly, at once on joining, or served: it is told when and as which number."""
    name = await coupons.create(2)
    (claimed,) = await coupons.claimed_by(name, 1)
    at_once, served = new_uuid(), new_uuid()
    await coupons.join(name, at_once)
    await coupons.join(name, served)
    await coupons.restock(name)
    before = await everything(db)
    for ordinal, user in enumerate((claimed, at_once, served), start=1):
        for call in (coupons.join(name, user), coupons.claim(name, user)):
            answer = await refused(call)
            assert answer.said == ("ALREADY_EXISTS", "ALREADY_CLAIMED")
            assert datetime.fromisoformat(answer.metadata.pop("claimed_time")).tzinfo is not None
            assert answer.metadata == {"user_id": user, "ordinal": str(ordinal)}
    assert await everything(db) == before


async def test_waiting_does_not_keep_from_being_refused_a_claim(coupons: Coupons) -> None:
    """Only a delivery ends the wait."""
    name = await coupons.sold_out()
    (user,) = await coupons.waited_for_by(name, 1)
    assert (await refused(coupons.claim(name, user))).said == ("FAILED_PRECONDITION", "OUT_OF_STOCK")


@pytest.mark.parametrize("deliveries", [[5], [2, 3], [1, 1, 1, 1, 1], [4, 7]])
async def test_deliveries_serve_those_who_wait_in_the_order_they_joined(
    coupons: Coupons, db: Connection, deliveries: list[int]
) -> None:
    """G4: by one delivery or several; what is left over can be claimed."""
    name = await coupons.create(2)
    users = [*await coupons.claimed_by(name, 2), *await coupons.waited_for_by(name, 5)]
    waiting = 5
    for amount in deliveries:
        answer = await coupons.restock(name, amount)
        served = min(amount, waiting)
        waiting -= served
        assert answer.served_count == served
        assert (answer.coupon.waiting_count, answer.coupon.remaining_amount) == (waiting, amount - served)
        claims = len(users) - waiting
        assert answer.coupon.claim_count == claims
        assert await coupons.claims(name) == list(enumerate(users[:claims], start=1))
        assert list((await coupons.get(name)).claimed_by) == users[:claims]
        await coupons_add_up(db)
    assert (await coupons.get(name)).remaining_amount == sum(deliveries) - 5


async def test_each_who_is_served_is_told_of_in_the_event_stream(coupons: Coupons, db: Connection) -> None:
    """G7: in order, in the transaction that served them."""
    name = await coupons.sold_out()
    users = await coupons.waited_for_by(name, 3)
    answer = await coupons.restock(name, 2)
    rows = await db.fetch(
        "SELECT payload->>'user_id', (payload->>'ordinal')::integer, version, to_hex(xid::text::bigint) "
        "FROM operations.events WHERE kind = 'coupon.waiting_served' AND aggregate_id = $1 ORDER BY xid, position",
        name,
    )
    told = {(row[2], int(row[3], 16)) for row in rows}
    assert [(row[0], row[1]) for row in rows] == [(users[0], 2), (users[1], 3)]
    version = await db.fetchval("SELECT version FROM claims.coupons")
    assert told == {(version, int(answer.commit_token, 16))}
    assert (await event_kinds(db, name))[-3:] == ["coupon.counted", "coupon.waiting_served", "coupon.waiting_served"]


async def test_whoever_is_served_is_left_a_trace_of_when(coupons: Coupons, db: Connection) -> None:
    name = await coupons.sold_out()
    first, second = await coupons.waited_for_by(name, 2)
    await coupons.restock(name)
    rows = await db.fetch(
        "SELECT w.user_id::text AS id, w.joined_time < c.claimed_time AND w.served_time = c.claimed_time AS served "
        "FROM claims.waitlist w LEFT JOIN claims.claims c USING (coupon_name, user_id) ORDER BY position"
    )
    assert [tuple(row) for row in rows] == [(first, True), (second, None)]


async def test_places_are_not_given_out_again(coupons: Coupons, db: Connection) -> None:
    name = await coupons.sold_out()
    await coupons.waited_for_by(name, 2)
    await coupons.restock(name, 2)
    assert (await coupons.join(name)).place.position == 3
    await coupons.restock(name, 1)
    assert (await coupons.join(name)).place.position == 4
    await coupons_add_up(db)


async def test_a_full_line_refuses_until_somebody_was_served(database_url: str, db: Connection) -> None:
    async with coupon_service(database_url, claims_most_waiting=2) as coupons:
        name, other = await coupons.sold_out(), await coupons.sold_out()
        first, _ = await coupons.waited_for_by(name, 2)
        before = await everything(db)
        answer = await refused(coupons.join(name))
        assert answer.said == ("RESOURCE_EXHAUSTED", "WAITLIST_FULL")
        assert answer.retry_after == 60
        assert (await refused(coupons.join(name, first))).reason == "ALREADY_WAITING"
        assert await everything(db) == before
        assert (await coupons.join(other)).place.position == 1
        await coupons.restock(name)
        assert (await coupons.join(name)).place.position == 3
        assert (await refused(coupons.join(name))).reason == "WAITLIST_FULL"
        await coupons_add_up(db)


async def test_repeating_a_join_answers_the_first_answer_g5(coupons: Coupons, db: Connection) -> None:
    """G5: the place, also when it was served since; the claim, where there was stock."""
    name = await coupons.create(1)
    claims, waits = a_place(name), a_place(name)
    answers = [await coupons.stub.JoinWaitlist(claims), await coupons.stub.JoinWaitlist(waits)]
    assert [answer.WhichOneof("result") for answer in answers] == ["claim", "place"]
    for amount in (0, 1, 5):
        if amount:
            await coupons.restock(name, amount)
        before = await everything(db)
        for request, first in zip((claims, waits), answers, strict=True):
            again = await coupons.stub.JoinWaitlist(request)
            assert again.replayed
            again.replayed = False
            assert again == first
        assert await everything(db) == before


async def test_one_join_sent_many_times_at_once_takes_one_place_g5(coupons: Coupons, db: Connection) -> None:
    """G5."""
    request = a_place(await coupons.sold_out())
    answers = await asyncio.gather(*(coupons.stub.JoinWaitlist(request) for _ in range(20)))
    assert sorted(answer.replayed for answer in answers) == [False, *[True] * 19]
    assert {(answer.place.position, answer.commit_token) for answer in answers} == {(1, answers[0].commit_token)}
    await coupons_add_up(db)


async def test_repeating_a_restock_serves_nobody_a_second_time_g5(coupons: Coupons, db: Connection) -> None:
    """G5: nor those who joined since."""
    name = await coupons.sold_out()
    await coupons.waited_for_by(name, 2)
    request = a_restock(name, 2)
    first = await coupons.stub.RestockCoupon(request)
    await coupons.waited_for_by(name, 1)
    before = await everything(db)
    again = await coupons.stub.RestockCoupon(request)
    assert (again.replayed, again.served_count, again.commit_token) == (True, 2, first.commit_token)
    assert again.coupon == first.coupon
    assert await everything(db) == before


async def test_joins_claims_and_deliveries_at_once_leave_nobody_waiting_beside_stock(
    coupons: Coupons, db: Connection
) -> None:
    """G2, G4: everybody who joined before the last delivery is served, in the order of their places."""
    name = await coupons.create(5)
    joins = [coupons.join(name) for _ in range(40)]
    claims = [became_of(coupons.claim(name)) for _ in range(20)]
    deliveries = [coupons.restock(name, 2) for _ in range(10)]
    joined, claimed, delivered = await asyncio.gather(
        asyncio.gather(*joins), asyncio.gather(*claims), asyncio.gather(*deliveries)
    )
    await coupons_add_up(db)
    coupon = await coupons.get(name)
    at_once = sum(answer.HasField("claim") for answer in joined)
    served = sum(answer.served_count for answer in delivered)
    assert coupon.claim_count == at_once + claimed.count("done") + served == 25 - coupon.remaining_amount
    assert coupon.waiting_count == 40 - at_once - served
    rows = await db.fetch(
        "SELECT w.position, c.ordinal FROM claims.waitlist w JOIN claims.claims c USING (coupon_name, user_id) ORDER BY 1"
    )
    assert [row["position"] for row in rows] == list(range(1, served + 1))
    assert all(one["ordinal"] < next_["ordinal"] for one, next_ in pairwise(rows))
