"""The lane in which everything that claims meets, driven without a server so that the order of arrival is the test's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import pytest

from libs.data.database import Database
from libs.data.errors import Unavailable
from libs.data.settings import DatabaseSettings
from services.claims.coupons.errors import AlreadyClaimed
from services.claims.coupons.model import Claim, Claimed, Joined
from tests.data.rows import waiting_for_locks
from tests.services.claims.coupons import coupons_add_up
from tests.services.claims.desk import a_desk
from tests.stored import Connection


@asynccontextmanager
async def held(db: Connection, name: str) -> AsyncIterator[None]:
    """While open, no transaction gets the coupon's row."""
    transaction = db.transaction()
    await transaction.start()
    await db.execute("SELECT FROM claims.coupons WHERE name = $1 FOR UPDATE", name)
    try:
        yield
    finally:
        await transaction.rollback()


async def test_claims_and_joins_are_served_in_the_order_they_came_in(database_url: str, db: Connection) -> None:
    """G4: whoever comes first gets one, whichever way it was asked for."""
    async with a_desk(database_url) as desk:
        name, users = await desk.create(6), [uuid4() for _ in range(12)]
        async with held(db, name):
            calls = [
                asyncio.ensure_future(desk.join(name, user) if place % 2 else desk.claim(name, user))
                for place, user in enumerate(users)
            ]
            await asyncio.sleep(0)
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        ordinals = [
            (o.claim if isinstance(o, Claimed) else o.result).ordinal  # type: ignore[union-attr]
            for o in outcomes
            if isinstance(o, Claimed) or (isinstance(o, Joined) and isinstance(o.result, Claim))
        ]
        assert ordinals == [1, 2, 3, 4, 5, 6]
        rows = await db.fetch("SELECT user_id FROM claims.claims ORDER BY ordinal")
        assert [row[0] for row in rows] == users[:6]
        rows = await db.fetch("SELECT user_id FROM claims.waitlist ORDER BY position")
        assert [row[0] for row in rows] == [users[7], users[9], users[11]]
        assert await db.fetchval("SELECT count(DISTINCT commit_xid) FROM claims.claims") <= 2
        await coupons_add_up(db)


@pytest.mark.parametrize("same_request", [False, True])
async def test_a_claim_that_another_service_stored_while_this_one_waited_for_the_coupon_is_seen(
    database_url: str, db: Connection, same_request: bool
) -> None:
    """G4, G5: the other one held the row when this one began to look."""
    async with a_desk(database_url) as desk, Database.open(DatabaseSettings(database_url=database_url)) as watcher:
        name, user, request_id = await desk.create(1), uuid4(), uuid4()
        other = db.transaction()
        await other.start()
        await db.execute(
            "INSERT INTO claims.claims (coupon_name, user_id, ordinal, remaining_amount, request_id, claimed_time) "
            "VALUES ($1, $2, 1, 0, $3, now())",
            *(name, user, request_id),
        )
        await db.execute("UPDATE claims.coupons SET claim_count = 1, remaining_amount = 0, version = 1")
        ours = asyncio.create_task(desk.claim(name, user, request_id if same_request else uuid4()))
        await waiting_for_locks(watcher, 1)
        await other.commit()
        if same_request:
            assert (await ours).replayed
        else:
            with pytest.raises(AlreadyClaimed):
                await ours
        await coupons_add_up(db)


async def test_a_full_queue_refuses_and_takes_nothing_on(database_url: str, db: Connection) -> None:
    async with a_desk(database_url, claims_max_queue=5) as desk:
        name = await desk.create(100)
        async with held(db, name):
            calls = [asyncio.ensure_future(desk.outcome(name)) for _ in range(20)]
            await asyncio.sleep(0)
        outcomes = await asyncio.gather(*calls)
        assert outcomes == [*["done"] * 5, *["QUEUE_FULL"] * 15]
        assert await db.fetchval("SELECT count(*) FROM claims.claims") == 5
        await coupons_add_up(db)


async def test_after_draining_nothing_is_taken_on(database_url: str, db: Connection) -> None:
    """G1: what was taken on is answered."""
    async with a_desk(database_url) as desk:
        name = await desk.create(100)
        taken = [asyncio.ensure_future(desk.claim(name)) for _ in range(10)]
        await asyncio.sleep(0)
        await desk.claiming.drain()
        assert [(await task).claim.ordinal for task in taken] == list(range(1, 11))
        with pytest.raises(Unavailable) as caught:
            await desk.claim(name)
        assert caught.value.reason == "SHUTTING_DOWN"


async def test_a_restock_waits_for_claims_that_hold_the_coupon_and_serves_who_lined_up_by_then(
    database_url: str, db: Connection
) -> None:
    """G4: nobody who joined first is passed over."""
    async with a_desk(database_url) as desk, Database.open(DatabaseSettings(database_url=database_url)) as watcher:
        name, _ = await desk.sell_out()
        user: UUID = uuid4()
        async with held(db, name):
            joined = asyncio.create_task(desk.join(name, user))
            await waiting_for_locks(watcher, 1)
            restocked = asyncio.create_task(desk.restock(name))
            await waiting_for_locks(watcher, 2)
        await asyncio.gather(joined, restocked)
        assert await desk.outcome(name, user) == "ALREADY_CLAIMED"
        await coupons_add_up(db)
