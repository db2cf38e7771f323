"""A queue of a test's own."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from libs.data.database import Database
from libs.data.settings import DatabaseSettings
from tests.jobs.workshop import ROLE, Workshop
from tests.stored import Connection


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Connection]:
    """A superuser's connection, to look at what is stored and to get in the way."""
    connection = await asyncpg.connect(database_url)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture
async def workshop(database_url: str, db: Connection) -> AsyncIterator[Workshop]:
    settings = DatabaseSettings(database_url=database_url, database_role=ROLE)
    async with Database.open(settings) as database:
        yield Workshop(settings, database, db)
