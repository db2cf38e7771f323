"""A database of the test's own, through Tally's data layer and past it."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from libs.data.database import Database
from libs.data.settings import DatabaseSettings
from tests.stored import Connection


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database.open(DatabaseSettings(database_url=database_url, acquire_timeout=5.0)) as database:
        yield database


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Connection]:
    """A superuser's connection beside the data layer's own."""
    connection = await asyncpg.connect(database_url)
    try:
        yield connection
    finally:
        await connection.close()
