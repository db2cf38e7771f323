"""One service and one database for the tests of a file: what is bad leaves nothing behind, and each test has its own goods."""

from collections.abc import AsyncIterator, Iterator

import asyncpg
import grpc.aio
import psycopg
import pytest
import pytest_asyncio

from tests.postgres import scratch_database
from tests.services.claims.serving import claims_channel
from tests.stored import Connection


@pytest.fixture(scope="module")
def database_url(postgres_server: psycopg.Connection, postgres_url: str, template_database: str) -> Iterator[str]:
    with scratch_database(postgres_server, postgres_url, template_database) as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def claims(database_url: str) -> AsyncIterator[grpc.aio.Channel]:
    async with claims_channel(database_url) as channel:
        yield channel


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def db(database_url: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()
