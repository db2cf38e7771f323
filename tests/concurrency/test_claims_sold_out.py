"""A rush for what is sold out, through a service whose every message to Postgres is seen on its way."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tally.claims.v1 import coupon_service_pb2 as messages

from tests.chaos.proxy import CommitProxy
from tests.concurrency.answers import open_channel
from tests.concurrency.claims.attempts import ClaimsAttempt, ClaimsHistory
from tests.concurrency.claims.calls import Caller
from tests.concurrency.claims.coupon_checker import assert_coupons_exact
from tests.concurrency.claims.supply import create_coupons
from tests.concurrency.petitions import new_id
from tests.concurrency.service_process import ServiceProcess, claims_service
from tests.eventually import becomes_true

CALLERS, CALLS, STOCK = 64, 20, 5


@pytest.fixture
def proxy(database_url: str) -> Iterator[CommitProxy]:
    proxy = CommitProxy(database_url)
    yield proxy
    proxy.close()


@pytest.fixture
def service(proxy: CommitProxy, tmp_path: Path) -> Iterator[ServiceProcess]:
    with claims_service(proxy.url, tmp_path / "claims.log") as service:
        yield service


async def test_64_callers_of_what_is_sold_out_cost_postgres_not_one_statement(
    service: ServiceProcess, proxy: CommitProxy, database_url: str
) -> None:
    """C8: every statement about a claim names its coupon; of 1,280 refusals none reaches Postgres, but the claimant does."""
    history: ClaimsHistory = []
    (coupon,) = create_coupons(service.address, amount=STOCK)
    async with AsyncExitStack() as stack:
        channels = [await stack.enter_async_context(open_channel(service.address)) for _ in range(CALLERS)]
        callers = [Caller(channel, history, 10.0) for channel in channels]

        async def claim(caller: Caller, user_id: str) -> ClaimsAttempt:
            return await caller.do(
                messages.ClaimCouponRequest(coupon_name=coupon, user_id=user_id, request_id=new_id())
            )

        async def claim_again_and_again(caller: Caller) -> set[str]:
            return {(await claim(caller, new_id())).reason for _ in range(CALLS)}

        async def cost() -> int:
            """Of all callers claiming at once."""
            before = proxy.mentions_of(coupon.encode())
            told = await asyncio.gather(*map(claim_again_and_again, callers))
            assert set().union(*told) == {"OUT_OF_STOCK"}
            return proxy.mentions_of(coupon.encode()) - before

        claimants = [new_id() for _ in range(STOCK)]
        assert all([(await claim(callers[0], user_id)).acknowledged for user_id in claimants])
        assert await cost() > 0, "nothing that the service sends is seen"

        async def it_costs_nothing() -> bool:
            # On a machine that is slow for a moment memory is behind, and leaves it to the database.
            return await cost() == 0

        await becomes_true(it_costs_nothing, 30.0)
        seen = proxy.mentions_of(coupon.encode())
        assert (await claim(callers[0], claimants[0])).reason == "ALREADY_CLAIMED"
        assert proxy.mentions_of(coupon.encode()) > seen
    assert_coupons_exact(database_url, [coupon], history)
