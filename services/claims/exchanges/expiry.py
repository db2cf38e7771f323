"""Ends holds whose time is over. Every process does it: under the post's lock only one finds the hold still there."""

import asyncio
from functools import partial

import structlog

from libs.data.consistency import PRIMARY
from libs.data.database import Database
from libs.data.errors import TallyError
from libs.telemetry.instruments import counter
from services.claims.exchanges.exchanging import Exchanging
from services.claims.exchanges.store_reads import overdue

log = structlog.get_logger(__name__)

EXPIRED = counter(
    "tally.claims.holds_expired", "{exchange}", "Holds that ended because they were not confirmed in time."
)

AT_ONCE = 500


class Expiry:
    """A background task of the claims service. A claim that meets an overdue hold does not wait for it."""

    def __init__(self, database: Database, exchanging: Exchanging, interval_seconds: float) -> None:
        self._database = database
        self._exchanging = exchanging
        self._interval = interval_seconds

    async def run(self) -> None:
        """Until cancelled; a round that fails is tried again."""
        while True:
            try:
                await self.round()
            except TallyError as error:
                log.warning("expiry_postponed", reason=error.reason)
            await asyncio.sleep(self._interval)

    async def round(self) -> int:
        """Ends every hold that is overdue now; how many that were."""
        expired = 0
        while True:
            found = await self._database.read(partial(overdue, limit=AT_ONCE), PRIMARY)
            ended = await self._exchanging.expire(found)
            EXPIRED.add(ended)
            expired += ended
            if len(found) < AT_ONCE:
                return expired
