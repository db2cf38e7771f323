"""A voting service and its database, of a test's own."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.services.voting.conversations import Conversations, voting_service
from tests.services.voting.recount import DIFFERING
from tests.stored import Connection


@pytest.fixture
async def voting(database_url: str) -> AsyncIterator[Conversations]:
    """Whatever a test does to it, every counter of every conversation equals its rows at the end (G2)."""
    async with voting_service(database_url) as service:
        yield service
    await all_counts_hold(database_url)


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Connection]:
    """A superuser's connection, to look at what is stored and to break it."""
    connection = await asyncpg.connect(database_url)
    try:
        yield connection
    finally:
        await connection.close()


async def all_counts_hold(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        for (conversation_id,) in await connection.fetch("SELECT conversation_id FROM voting.conversations"):
            differing = await connection.fetch(DIFFERING, conversation_id)
            assert not differing, f"{conversation_id}: {differing}"
    finally:
        await connection.close()
