"""A consumer of the event stream, and its database."""

from collections.abc import AsyncIterator

import pytest

from services.reputation.stream.consumer import Consumer
from tests.services.reputation.stream.streams import consumer


@pytest.fixture
async def reading(database_url: str) -> AsyncIterator[Consumer]:
    async with consumer(database_url) as reading:
        yield reading
