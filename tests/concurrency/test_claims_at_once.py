"""More people than there is stock, all at the same moment, each over a connection of their own."""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from tally.claims.v1 import coupon_service_pb2 as messages

from tests.concurrency.answers import open_channel
from tests.concurrency.claims.attempts import ClaimsHistory
from tests.concurrency.claims.calls import Caller
from tests.concurrency.claims.coupon_checker import assert_coupons_exact
from tests.concurrency.claims.supply import create_coupons
from tests.concurrency.pool_watch import watched_pools
from tests.concurrency.stage import Stage


@pytest.fixture
def history() -> ClaimsHistory:
    return []


@asynccontextmanager
async def connected(address: str, number: int, history: ClaimsHistory) -> AsyncIterator[list[Caller]]:
    """Callers with a connection each, all of them open."""
    async with AsyncExitStack() as stack:
        channels = [await stack.enter_async_context(open_channel(address)) for _ in range(number)]
        async with asyncio.timeout(30):
            await asyncio.gather(*(channel.channel_ready() for channel in channels))
        yield [Caller(channel, history, 30.0) for channel in channels]


def claim(coupon_name: str, user_id: str = "") -> messages.ClaimCouponRequest:
    return messages.ClaimCouponRequest(
        coupon_name=coupon_name, user_id=user_id or str(uuid.uuid4()), request_id=str(uuid.uuid4())
    )


@pytest.mark.parametrize(("people", "stock"), [(50, 5), (100, 10), (200, 20), (500, 50)])
async def test_exactly_as_many_claim_as_there_is_stock(
    claims_stage: Stage, history: ClaimsHistory, people: int, stock: int
) -> None:
    """G4, C2, C3: the others are told OUT_OF_STOCK, nobody anything else; the pools are never larger than they may be."""
    service = claims_stage.services[0]
    (coupon,) = create_coupons(service.address, amount=stock)
    async with connected(service.address, people, history) as callers:
        with watched_pools(service, claims_stage.database_url) as pools:
            attempts = await asyncio.gather(*(caller.do(claim(coupon)) for caller in callers))
    print(f"{people} callers at once, {stock} in stock: {pools}")
    assert Counter(a.code for a in attempts) == {"OK": stock, "FAILED_PRECONDITION": people - stock}
    assert {a.reason for a in attempts} == {"", "OUT_OF_STOCK"}
    assert sorted(a.result for a in attempts if a.acknowledged) == [(n, stock - n) for n in range(1, stock + 1)]
    stored = assert_coupons_exact(claims_stage.database_url, [coupon], history)[coupon]
    assert (stored.remaining, stored.claim_count, len(stored.claims)) == (0, stock, stock)
    assert 0 < pools.most_open <= pools.allowed


async def test_exactly_as_many_claim_through_two_services_as_there_is_stock(
    claims_stage: Stage, history: ClaimsHistory
) -> None:
    """G4, C2: 250 at each; neither knows what the other gives out but by the row's lock and the events."""
    people, stock = 500, 50
    (coupon,) = create_coupons(claims_stage.addresses[0], amount=stock)
    async with (
        connected(claims_stage.addresses[0], people // 2, history) as some,
        connected(claims_stage.addresses[1], people // 2, history) as others,
    ):
        pairs = zip(some, others, strict=True)
        attempts = await asyncio.gather(*(caller.do(claim(coupon)) for pair in pairs for caller in pair))
    assert Counter(a.code for a in attempts) == {"OK": stock, "FAILED_PRECONDITION": people - stock}
    assert {a.reason for a in attempts} == {"", "OUT_OF_STOCK"}
    assert sorted(a.result for a in attempts if a.acknowledged) == [(n, stock - n) for n in range(1, stock + 1)]
    stored = assert_coupons_exact(claims_stage.database_url, [coupon], history)[coupon]
    assert (stored.remaining, stored.claim_count, len(stored.claims)) == (0, stock, stock)


async def test_of_ten_claims_of_one_user_at_once_one_succeeds(claims_stage: Stage, history: ClaimsHistory) -> None:
    """G4, C2: through both services; the nine others are told ALREADY_CLAIMED, and as which number."""
    (coupon,) = create_coupons(claims_stage.addresses[0], amount=5)
    user_id = str(uuid.uuid4())
    async with (
        connected(claims_stage.addresses[0], 5, history) as some,
        connected(claims_stage.addresses[1], 5, history) as others,
    ):
        attempts = await asyncio.gather(*(caller.do(claim(coupon, user_id)) for caller in [*some, *others]))
    assert Counter((a.code, a.reason) for a in attempts) == {("OK", ""): 1, ("ALREADY_EXISTS", "ALREADY_CLAIMED"): 9}
    assert {a.told["ordinal"] for a in attempts if not a.acknowledged} == {"1"}
    stored = assert_coupons_exact(claims_stage.database_url, [coupon], history)[coupon]
    assert (stored.remaining, len(stored.claims)) == (4, 1)


async def test_a_claim_sent_50_times_at_once_to_both_services_is_one_claim(
    claims_stage: Stage, history: ClaimsHistory
) -> None:
    """G5: the last one in stock; all 50 get the same answer, one of them for the first time."""
    (coupon,) = create_coupons(claims_stage.addresses[0], amount=1)
    request = claim(coupon)
    async with (
        connected(claims_stage.addresses[0], 5, history) as some,
        connected(claims_stage.addresses[1], 5, history) as others,
    ):
        attempts = await asyncio.gather(*(([*some, *others])[n % 10].do(request) for n in range(50)))
    assert {a.answer for a in attempts if a.acknowledged} == {attempts[0].answer}
    assert [a.acknowledged for a in attempts].count(True) == 50
    assert [a.replayed for a in attempts].count(False) == 1
    assert_coupons_exact(claims_stage.database_url, [coupon], history)
