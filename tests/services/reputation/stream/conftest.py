"""A consumer of the event stream, and its database."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from services.reputation.stream.consumer import Consumer
from tests.services.reputation.stream.streams import consumer
from tests.stored import Connection


@pytest.fixture
async def reading(database_url: str) -> AsyncIterator[Consumer]:
    async with consumer(database_url) as reading:
        yield reading


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Connection]:
    """A superuser's connection, to tell things and to look at what came of them."""
    connection = await asyncpg.connect(database_url)
    try:
        yield connection
    finally:
        await connection.close()
