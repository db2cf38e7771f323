"""A reputation service and its database, of a test's own."""

from collections.abc import AsyncIterator

import asyncpg
import grpc.aio
import pytest
from tally.reputation.v1.reputation_service_pb2_grpc import ReputationServiceStub

from tests.services.reputation.ledgers import Ledgers
from tests.services.reputation.serving import reputation_channel
from tests.stored import Connection


@pytest.fixture
async def reputation(database_url: str) -> AsyncIterator[grpc.aio.Channel]:
    async with reputation_channel(database_url) as channel:
        yield channel


@pytest.fixture
def ledgers(reputation: grpc.aio.Channel) -> Ledgers:
    return Ledgers(ReputationServiceStub(reputation))


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Connection]:
    """A superuser's connection, to look at what is stored and to break it."""
    connection = await asyncpg.connect(database_url)
    try:
        yield connection
    finally:
        await connection.close()
