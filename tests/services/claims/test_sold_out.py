"""Claims of sold-out coupons are refused from memory, and never for long after stock came back (C8)."""

import asyncio
import time
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import grpc
import pytest

from tests.eventually import becomes_true
from tests.services.claims.coupons import Coupons, a_claim, became_of, coupon_service, coupons_add_up, outcome
from tests.services.claims.desk import Desk, a_desk
from tests.stored import Connection

# Seconds after which nobody may be told any more that nothing is left.
MOST_BEHIND = 0.25


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    async with a_desk(database_url) as made:
        yield made


async def test_what_is_known_to_be_sold_out_is_refused_without_asking_the_database(desk: Desk, db: Connection) -> None:
    """One by one and in batches: not one statement is sent."""
    name, _ = await desk.sell_out(2)
    assert await desk.outcome(name) == "OUT_OF_STOCK"

    async def nothing_is_asked() -> bool:
        before = desk.database.asked
        batch = [a_claim(name) for _ in range(100)]
        outcomes = [await desk.outcome(name) for _ in range(100)]
        outcomes += [outcome(result) for result in await desk.claiming.claim_each(batch)]
        assert set(outcomes) == {"OUT_OF_STOCK"}
        return desk.database.asked == before

    await becomes_true(nothing_is_asked)
    await coupons_add_up(db)


async def test_what_a_batch_found_sold_out_is_known_too(desk: Desk) -> None:
    name, _ = await desk.sell_out()

    async def nothing_is_asked() -> bool:
        before = desk.database.asked
        (result,) = await desk.claiming.claim_each([a_claim(name)])
        assert outcome(result) == "OUT_OF_STOCK"
        return desk.database.asked == before

    await becomes_true(nothing_is_asked)


async def test_before_anybody_was_refused_nothing_is_known(desk: Desk) -> None:
    """The last claim does not read who has it all: most coupons that sell out are never asked for again."""
    name, _ = await desk.sell_out()
    other, _ = await desk.sell_out()
    await desk.remembers(other)
    assert not desk.refuses(name)
    assert desk.database.readings == 1


async def test_who_has_it_all_is_read_once_however_many_are_refused(desk: Desk) -> None:
    name, _ = await desk.sell_out(3)
    outcomes = await asyncio.gather(*(desk.outcome(name) for _ in range(50)))
    assert set(outcomes) == {"OUT_OF_STOCK"}
    await desk.remembers(name)
    for _ in range(3):
        await desk.claim(await desk.create())
        await desk.remembers(name)
    assert desk.database.readings == 1


async def test_whoever_has_a_claim_is_answered_by_the_database_g5(desk: Desk) -> None:
    """G5: with the first answer or that there is one, while everybody else is refused."""
    name, request_id, user = await desk.create(300), uuid4(), uuid4()
    first = await desk.claim(name, user, request_id)
    users = [user, *(uuid4() for _ in range(299))]
    await asyncio.gather(*(desk.claim(name, other) for other in users[1:]))
    await desk.remembers(name)
    again = await desk.claim(name, user, request_id)
    assert again.replayed and again.claim.ordinal == first.claim.ordinal

    async def all_are_told_apart() -> bool:
        apart = not any(desk.refuses(name, user) for user in users)
        assert apart
        return all(desk.refuses(name) for _ in range(300))

    await becomes_true(all_are_told_apart)
    assert {await desk.outcome(name, user) for user in users[:20]} == {"ALREADY_CLAIMED"}


async def test_whoever_could_be_taken_for_a_claimant_is_answered_by_the_database(desk: Desk) -> None:
    """Memory has the second halves of ids only."""
    name, (user,) = await desk.sell_out()
    await desk.remembers(name)
    alike = UUID(int=user.int ^ 1 << 127)
    before = desk.database.asked
    assert await desk.outcome(name, alike) == "OUT_OF_STOCK"
    assert desk.database.asked > before


async def test_a_restock_by_another_instance_is_claimed_from_at_most_a_quarter_of_a_second_later(
    desk: Desk, database_url: str, db: Connection
) -> None:
    """Again and again."""
    name, _ = await desk.sell_out()
    async with a_desk(database_url) as other:
        for _ in range(5):
            await desk.remembers(name)
            await other.restock(name)
            restocked = time.monotonic()
            while True:
                asked = time.monotonic()
                if await desk.outcome(name) == "done":
                    break
                assert asked - restocked <= MOST_BEHIND
                await asyncio.sleep(0.005)
    await coupons_add_up(db)


async def test_after_a_restock_memory_no_longer_refuses_though_nobody_claims(desk: Desk, database_url: str) -> None:
    name, _ = await desk.sell_out()
    other, _ = await desk.sell_out()
    await desk.remembers(name)
    async with a_desk(database_url) as elsewhere:
        await elsewhere.restock(name)

    async def forgotten() -> bool:
        return desk.refuses(other) and not desk.refuses(name)

    await desk.remembers(other)
    await becomes_true(forgotten)


async def test_memory_is_not_asked_while_an_open_transaction_hides_what_commits(
    desk: Desk, database_url: str, db: Connection
) -> None:
    """Stock that came back unseen is given out, too."""
    name, _ = await desk.sell_out()
    await desk.remembers(name)
    hiding = db.transaction()
    await hiding.start()
    await db.fetchval("SELECT pg_current_xact_id()")
    latecomer = uuid4()
    async with a_desk(database_url) as other:
        await other.restock(name)
    await asyncio.sleep(MOST_BEHIND)  # no look since then was at everything that had committed
    assert not desk.refuses(name)
    before = desk.database.asked
    assert await desk.outcome(name, latecomer) == "done"
    assert await desk.outcome(name) == "OUT_OF_STOCK"
    assert desk.database.asked >= before + 2
    await hiding.rollback()

    async def knows_the_latecomer() -> bool:
        desk.sold_out.note(name)
        return desk.refuses(name) and not desk.refuses(name, latecomer)

    await becomes_true(knows_the_latecomer)
    assert await desk.outcome(name, latecomer) == "ALREADY_CLAIMED"


async def test_a_restock_that_the_line_took_all_of_changes_who_is_told_of_a_claim(
    desk: Desk, database_url: str
) -> None:
    """G5: it stays sold out, but whoever was served has a claim."""
    name, _ = await desk.sell_out()
    waits = uuid4()
    await desk.join(name, waits)
    await desk.remembers(name)
    assert await desk.outcome(name, waits) == "OUT_OF_STOCK"
    async with a_desk(database_url) as other:
        await other.restock(name)
    restocked = time.monotonic()
    while True:
        asked = time.monotonic()
        answer = await desk.outcome(name, waits)
        if answer == "ALREADY_CLAIMED":
            break
        assert answer == "OUT_OF_STOCK" and asked - restocked <= MOST_BEHIND
        await asyncio.sleep(0.005)
    await desk.remembers(name)
    assert await desk.outcome(name, waits) == "ALREADY_CLAIMED"


async def test_a_service_refuses_what_is_sold_out_while_nothing_can_be_claimed_in_the_database(
    coupons: Coupons, db: Connection
) -> None:
    """Behind the API: with the coupons locked, everybody but the claimant is answered."""
    name = await coupons.create()
    claimant = a_claim(name)
    first = await coupons.stub.ClaimCoupon(claimant)
    assert await became_of(coupons.claim(name)) == "OUT_OF_STOCK"
    lock = db.transaction()
    await lock.start()
    await db.execute("LOCK TABLE claims.coupons IN EXCLUSIVE MODE")  # has no xid, so events go on

    async def is_refused() -> bool:
        call = coupons.stub.ClaimCoupon(a_claim(name), timeout=0.5)
        return await call.code() is grpc.StatusCode.FAILED_PRECONDITION

    await becomes_true(is_refused)
    repeated = asyncio.ensure_future(coupons.stub.ClaimCoupon(claimant))
    await becomes_true(is_refused)
    assert not repeated.done()
    await lock.rollback()
    again = await repeated
    assert (again.replayed, again.claim) == (True, first.claim)


async def test_a_restock_through_one_service_is_claimed_through_another(
    coupons: Coupons, database_url: str, db: Connection
) -> None:
    """G4: five times, and each time by exactly as many as came back."""
    async with coupon_service(database_url) as other:
        name = await coupons.sold_out()
        for _ in range(5):
            assert await became_of(coupons.claim(name)) == "OUT_OF_STOCK"
            await other.restock(name, 2)
            restocked, claimed = time.monotonic(), 0
            while claimed < 2:
                asked = time.monotonic()
                result = await became_of(coupons.claim(name))
                assert result == "done" or asked - restocked <= MOST_BEHIND
                claimed += result == "done"
        await coupons_add_up(db)
        assert (await other.get(name)).claim_count == 11
