"""A claims service and its database, of a test's own."""

from collections.abc import AsyncIterator

import asyncpg
import grpc.aio
import pytest
from tally.claims.v1.coupon_service_pb2_grpc import CouponServiceStub
from tally.claims.v1.exchange_service_pb2_grpc import ExchangeServiceStub

from tests.services.claims.coupons import Coupons
from tests.services.claims.food import Food
from tests.services.claims.serving import claims_channel
from tests.stored import Connection


@pytest.fixture
async def claims(database_url: str) -> AsyncIterator[grpc.aio.Channel]:
    async with claims_channel(database_url) as channel:
        yield channel


@pytest.fixture
def coupons(claims: grpc.aio.Channel) -> Coupons:
    return Coupons(CouponServiceStub(claims))


@pytest.fixture
def food(claims: grpc.aio.Channel) -> Food:
    return Food(ExchangeServiceStub(claims))


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Connection]:
    """A superuser's connection, to look at what is stored and to break it."""
    connection = await asyncpg.connect(database_url)
    try:
        yield connection
    finally:
        await connection.close()
