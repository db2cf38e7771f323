"""A reputation service of a test's own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc.aio

from services.reputation.__main__ import compose
from services.reputation.settings import ReputationSettings
from tests.servers import channel_to, quick


@asynccontextmanager
async def reputation_channel(database_url: str, **settings: object) -> AsyncIterator[grpc.aio.Channel]:
    """To a reputation service on this database, with the rights it has in production.

    It takes up nothing of the event stream meanwhile, unless told otherwise.
    """
    made = quick(ReputationSettings, database_url, "tally_reputation", **({"reputation_consume": False} | settings))
    async with channel_to("reputation", made, compose) as channel:
        yield channel
