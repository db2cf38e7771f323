"""One service and one database for the tests of a file: what is bad leaves nothing behind."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.services.voting.calls import World, a_world
from tests.services.voting.conversations import Conversations, voting_service
from tests.shared_database import database_url, db

__all__ = ["database_url", "db"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def voting(database_url: str) -> AsyncIterator[Conversations]:
    async with voting_service(database_url) as service:
        yield service


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(voting: Conversations) -> World:
    """Nothing that is refused changes it."""
    return await a_world(voting)
