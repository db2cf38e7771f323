"""An operations service, a petition service that writes, and their database, of a test's own."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.services.operations.operators import Operator, operations_service
from tests.services.petition.people import Petitions, petition_service
from tests.stored import Connection


@pytest.fixture
async def operator(database_url: str) -> AsyncIterator[Operator]:
    async with operations_service(database_url) as service:
        yield service


@pytest.fixture
async def petitions(database_url: str) -> AsyncIterator[Petitions]:
    async with petition_service(database_url) as service:
        yield service


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Connection]:
    """A superuser's connection, to look at what is stored and to get in the way."""
    connection = await asyncpg.connect(database_url)
    try:
        yield connection
    finally:
        await connection.close()
