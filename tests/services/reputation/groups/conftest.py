"""A reputation service and its database, of a test's own."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.services.reputation.groups.circle import Groups, groups_service
from tests.stored import Connection


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Connection]:
    """A superuser's connection, to look at what is stored and to break it."""
    connection = await asyncpg.connect(database_url)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture
async def groups(database_url: str, db: Connection) -> AsyncIterator[Groups]:
    async with groups_service(database_url, db) as service:
        yield service
