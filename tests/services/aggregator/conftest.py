"""An aggregator, a petition service that gives it something to count, and their database, of a test's own."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.services.aggregator.counting import Counters, aggregator
from tests.services.petition.people import Petitions, petition_service
from tests.stored import Connection


@pytest.fixture
async def petitions(database_url: str) -> AsyncIterator[Petitions]:
    async with petition_service(database_url) as service:
        yield service


@pytest.fixture
async def counters(database_url: str) -> AsyncIterator[Counters]:
    async with aggregator(database_url) as service:
        yield service


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Connection]:
    """A superuser's connection, to look at what is stored and to get in the way."""
    connection = await asyncpg.connect(database_url)
    try:
        yield connection
    finally:
        await connection.close()
