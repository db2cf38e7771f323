"""A reputation service and its database, of a test's own."""

from collections.abc import AsyncIterator

import pytest

from tests.services.reputation.groups.circle import Groups, groups_service
from tests.stored import Connection


@pytest.fixture
async def groups(database_url: str, db: Connection) -> AsyncIterator[Groups]:
    async with groups_service(database_url, db) as service:
        yield service
