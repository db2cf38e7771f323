"""First come, first served: the order in which claims arrive is the order of their ordinals."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import asyncpg
import pytest
from tally.claims.v1 import coupon_service_pb2 as messages

from libs.data.database import Committed, Database
from libs.data.settings import DatabaseSettings
from services.claims.coupons import store_coupons
from services.claims.coupons.claiming import Claiming
from services.claims.coupons.errors import OutOfStock
from services.claims.coupons.model import Claim, ClaimCoupon, Claimed, Joined, JoinWaitlist, Place
from services.claims.coupons.sold_out import SoldOut
from services.claims.settings import ClaimsSettings
from tests.concurrency.answers import open_channel
from tests.concurrency.claims.calls import Caller
from tests.concurrency.claims.coupon_checker import assert_coupons_exact
from tests.concurrency.claims.supply import create_coupons
from tests.concurrency.stage import Stage
from tests.data.rows import waiting_for_locks

COUPON = "First come, first served"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database.open(DatabaseSettings(database_url=database_url)) as database:
        await database.write(lambda tx: store_coupons.create(tx, COUPON, 150, uuid.uuid4()))
        yield database


@pytest.fixture
async def claiming(database: Database) -> AsyncIterator[Claiming]:
    """Whose transactions are small, so that a queue takes many of them."""
    sold_out = SoldOut(database, max_coupons=10, max_claimants=1_000)
    claiming = Claiming(database, sold_out, ClaimsSettings(claims_max_batch=16))
    yield claiming
    await claiming.drain()


async def test_claims_that_queued_up_are_decided_in_the_order_of_their_arrival(
    claiming: Claiming, database: Database, database_url: str
) -> None:
    """C7: across many transactions, claims and places in line among each other, while the row was held by somebody else."""
    outsider = await asyncpg.connect(database_url)
    try:
        async with outsider.transaction():
            await outsider.execute("SELECT FROM claims.coupons WHERE name = $1 FOR UPDATE", COUPON)
            claims = [ClaimCoupon(COUPON, uuid.uuid4(), uuid.uuid4()) for _ in range(200)]
            joins = [JoinWaitlist(COUPON, uuid.uuid4(), uuid.uuid4()) for _ in range(200)]
            arriving: list[asyncio.Task[Committed[Claimed] | Committed[Joined]]] = []
            for claim, join in zip(claims, joins, strict=True):
                arriving.append(asyncio.create_task(claiming.claim(claim)))
                arriving.append(asyncio.create_task(claiming.join(join)))
            await waiting_for_locks(database, 1)
    finally:
        await outsider.close()
    outcomes = await asyncio.gather(*arriving, return_exceptions=True)
    ordinals, positions, refused = [], [], []
    for place, outcome in enumerate(outcomes):
        if isinstance(outcome, BaseException):
            assert isinstance(outcome, OutOfStock)
            refused.append(place)
            continue
        made = outcome.value.claim if isinstance(outcome.value, Claimed) else outcome.value.result
        if isinstance(made, Claim):
            ordinals.append(made.ordinal)
        else:
            assert isinstance(made, Place)
            positions.append(made.position)
    assert ordinals == list(range(1, 151))
    assert positions == list(range(1, 126))
    assert refused == list(range(150, 400, 2))


async def test_a_batch_is_decided_in_the_order_of_its_items(claims_stage: Stage) -> None:
    """C7: whoever comes first in it gets what is left."""
    (coupon,) = create_coupons(claims_stage.addresses[0], amount=250)
    requests = [
        messages.ClaimCouponRequest(coupon_name=coupon, user_id=str(uuid.uuid4()), request_id=str(uuid.uuid4()))
        for _ in range(300)
    ]
    async with open_channel(claims_stage.addresses[0]) as channel:
        attempts = await Caller(channel, [], 30.0).batch(requests)
    assert [a.result for a in attempts[:250]] == [(n, 250 - n) for n in range(1, 251)]
    assert {a.reason for a in attempts[250:]} == {"OUT_OF_STOCK"}
    stored = assert_coupons_exact(claims_stage.database_url, [coupon], attempts)[coupon]
    assert [c.user_id for c in stored.claims] == [r.user_id for r in requests[:250]]
