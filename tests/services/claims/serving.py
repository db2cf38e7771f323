"""A claims service of a test's own, with both of its APIs on one channel."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc.aio

from services.claims.__main__ import compose
from services.claims.settings import ClaimsSettings
from tests.servers import channel_to, quick


@asynccontextmanager
async def claims_channel(database_url: str, **settings: object) -> AsyncIterator[grpc.aio.Channel]:
    """To a claims service on this database, with the rights it has in production."""
    made = quick(ClaimsSettings, database_url, "tally_claims", **settings)
    async with channel_to("claims", made, compose) as channel:
        yield channel
