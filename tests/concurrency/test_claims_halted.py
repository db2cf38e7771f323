"""Once Halt has answered, no further claim commits (G8)."""

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import asyncpg
import grpc.aio
import pytest
from tally.claims.v1 import coupon_service_pb2, exchange_service_pb2
from tally.claims.v1.coupon_service_pb2_grpc import CouponServiceStub
from tally.claims.v1.exchange_service_pb2_grpc import ExchangeServiceStub

from libs.cli.verify import compare
from tests.concurrency.answers import open_channel
from tests.concurrency.claims.supply import create_coupons, create_food_posts
from tests.concurrency.stage import Stage
from tests.services.operations.operators import Operator, operations_service
from tests.services.operations.under_load import halted_under_load
from tests.stored import Connection

ROWS = """
SELECT (SELECT count(*) FROM claims.claims) + (SELECT count(*) FROM claims.waitlist)
     + (SELECT count(*) FROM claims.exchange_steps WHERE status = 'pending')
"""


@pytest.fixture
async def operator(claims_stage: Stage) -> AsyncIterator[Operator]:
    async with operations_service(claims_stage.database_url) as operator:
        yield operator


@pytest.fixture
async def db(claims_stage: Stage) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(claims_stage.database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def channels(claims_stage: Stage) -> AsyncIterator[list[grpc.aio.Channel]]:
    """To both services."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(open_channel(address)) for address in claims_stage.addresses]


async def test_no_claim_commits_after_halt_answered_under_64_callers_of_two_services(
    claims_stage: Stage, operator: Operator, db: Connection, channels: list[grpc.aio.Channel]
) -> None:
    """G8: claims of coupons and of food, places in line, and the ends of holds, which nobody asks for."""
    (plenty,) = create_coupons(claims_stage.addresses[0], amount=1_000_000)
    (post,) = create_food_posts(claims_stage.addresses[0], portions=1_000_000)
    (sold_out,) = create_coupons(claims_stage.addresses[0], amount=1)
    coupons = [CouponServiceStub(channel) for channel in channels]
    food = [ExchangeServiceStub(channel) for channel in channels]

    async def write(caller: int) -> str:
        service, ids = caller % 2, {"user_id": str(uuid.uuid4()), "request_id": str(uuid.uuid4())}
        match caller // 2 % 3:
            case 0:
                claim = coupon_service_pb2.ClaimCouponRequest(coupon_name=plenty, **ids)
                return (await coupons[service].ClaimCoupon(claim)).commit_token
            case 1:
                join = coupon_service_pb2.JoinWaitlistRequest(coupon_name=sold_out, **ids)
                return (await coupons[service].JoinWaitlist(join)).commit_token
            case _:
                portions = exchange_service_pb2.ClaimFoodRequest(food_post_id=post, portions=1, **ids)
                return (await food[service].ClaimFood(portions)).commit_token

    for _ in range(2):
        await halted_under_load(operator, write, ROWS, db)
    survey = await compare(claims_stage.database_url, None, [])
    assert survey.found == 0, survey.model_dump_json(indent=1)
