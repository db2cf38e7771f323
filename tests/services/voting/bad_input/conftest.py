"""One service and one database for the tests of a file: what is bad leaves nothing behind."""

from collections.abc import AsyncIterator, Iterator

import asyncpg
import psycopg
import pytest
import pytest_asyncio

from tests.postgres import scratch_database
from tests.services.voting.calls import World, a_world
from tests.services.voting.conversations import Conversations, voting_service
from tests.stored import Connection


@pytest.fixture(scope="module")
def database_url(postgres_server: psycopg.Connection, postgres_url: str, template_database: str) -> Iterator[str]:
    with scratch_database(postgres_server, postgres_url, template_database) as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def voting(database_url: str) -> AsyncIterator[Conversations]:
    async with voting_service(database_url) as service:
        yield service


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def db(database_url: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(voting: Conversations) -> World:
    """Nothing that is refused changes it."""
    return await a_world(voting)
