"""Fixtures of one database for all tests of a file, for a conftest to import: tests that leave nothing behind can share it."""

from collections.abc import AsyncIterator, Iterator

import asyncpg
import psycopg
import pytest
import pytest_asyncio

from tests.postgres import scratch_database
from tests.stored import Connection


@pytest.fixture(scope="module")
def database_url(postgres_server: psycopg.Connection, postgres_url: str, template_database: str) -> Iterator[str]:
    """A migrated database of the file's own."""
    with scratch_database(postgres_server, postgres_url, template_database) as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def db(database_url: str) -> AsyncIterator[Connection]:
    """A superuser's connection, to look at what is stored."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()
