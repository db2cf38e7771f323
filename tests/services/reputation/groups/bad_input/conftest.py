"""One service and one database for the tests of a file: what is bad leaves nothing behind; each test has groups of its own."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.services.reputation.groups.circle import Groups, groups_service
from tests.shared_database import database_url, db
from tests.stored import Connection

__all__ = ["database_url", "db"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def groups(database_url: str, db: Connection) -> AsyncIterator[Groups]:
    async with groups_service(database_url, db) as service:
        yield service
