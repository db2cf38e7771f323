"""One service and one database for the tests of a file: what is bad leaves nothing behind; each test has users of its own."""

from collections.abc import AsyncIterator

import grpc.aio
import pytest_asyncio

from tests.services.reputation.serving import reputation_channel
from tests.shared_database import database_url, db

__all__ = ["database_url", "db"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reputation(database_url: str) -> AsyncIterator[grpc.aio.Channel]:
    async with reputation_channel(database_url) as channel:
        yield channel
