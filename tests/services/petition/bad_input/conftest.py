"""One service and one database for the tests of a file: what is bad leaves nothing behind; each test has a petition."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.services.petition.people import Petitions, petition_service
from tests.shared_database import database_url, db

__all__ = ["database_url", "db"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def petitions(database_url: str) -> AsyncIterator[Petitions]:
    async with petition_service(database_url) as service:
        yield service
