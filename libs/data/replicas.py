"""Read replicas: which of them can answer a read. One that lags or dies is left out and comes back by itself."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import structlog

from libs.data import pools
from libs.data.commit_tokens import CommitToken, decode_token
from libs.data.consistency import Consistency
from libs.data.settings import DatabaseSettings

log = structlog.get_logger(__name__)

CHECK_SECONDS = 1.0

# A standby that has replayed all it received does not lag, however long ago the last commit was.
LAG = """
SELECT CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
            ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END::float8
FROM pg_stat_wal_receiver
"""
REFLECTS = "SELECT $1::text::xid8 < pg_snapshot_xmin(pg_current_snapshot())"


@dataclass
class Replica:
    """A standby and its measured lag in seconds; None while it cannot be used."""

    number: int
    pool: "asyncpg.Pool[Any]"
    lag: float | None = None

    @property
    def lag_bound(self) -> float:
        """How far behind it may be now: the lag at the last check, and the time since."""
        return (self.lag or 0.0) + 2 * CHECK_SECONDS


class Replicas:
    """All standbys of one primary."""

    def __init__(self, settings: DatabaseSettings, replicas: list[Replica]) -> None:
        self._settings = settings
        self._replicas = replicas
        self._turn = itertools.count()

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: DatabaseSettings) -> AsyncIterator["Replicas"]:
        replicas = [
            Replica(number, await pools.open_pool(url, settings, settings.read_pool_max, read_only=True))
            for number, url in enumerate(settings.replica_urls)
        ]
        opened = cls(settings, replicas)
        watchers = [asyncio.create_task(opened._watch(replica)) for replica in replicas]
        try:
            yield opened
        finally:
            for watcher in watchers:
                watcher.cancel()
            await asyncio.gather(*watchers, return_exceptions=True)
            await asyncio.gather(*(pools.close(replica.pool) for replica in replicas))

    def pick(self, consistency: Consistency) -> Replica | None:
        """A replica that can answer, in turn; None if the primary has to."""
        if consistency.primary or not self._replicas:
            return None
        allowed = self._settings.replica_max_lag
        if consistency.max_staleness is not None:
            allowed = min(allowed, consistency.max_staleness - 2 * CHECK_SECONDS)
        usable = [replica for replica in self._replicas if replica.lag is not None and replica.lag <= allowed]
        return usable[next(self._turn) % len(usable)] if usable else None

    async def reflects(self, connection: pools.Connection, token: CommitToken | None) -> bool:
        """Whether this standby has replayed the commit the token stands for, and all before it."""
        return token is None or bool(await connection.fetchval(REFLECTS, str(decode_token(token))))

    async def _watch(self, replica: Replica) -> None:
        while True:
            was_usable = replica.lag is not None
            try:
                async with (
                    asyncio.timeout(2 * CHECK_SECONDS),
                    pools.acquire(replica.pool, self._settings) as connection,
                ):
                    replica.lag = await connection.fetchval(LAG)
            except Exception as error:
                replica.lag = None
                if was_usable:
                    log.warning("replica_left_out", replica=replica.number, error=type(error).__name__)
            if replica.lag is not None and not was_usable:
                log.info("replica_in_use", replica=replica.number, lag_seconds=replica.lag)
            await asyncio.sleep(CHECK_SECONDS)
