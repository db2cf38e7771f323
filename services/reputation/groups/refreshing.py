"""Bringing the summary of what goes on in groups up to date, for all who ask at once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from libs.data.database import Committed, Database
from libs.data.group_commit import GroupCommit
from services.reputation.groups import store_activity
from services.reputation.groups.model import Refreshed
from services.reputation.settings import ReputationSettings


class Refreshing:
    """One refresh at a time in this process. Who asks while one is in flight shares the next, whose data is of after the call.

    Args:
        database: whose statements may take as long as a refresh does.
    """

    def __init__(self, database: Database, settings: ReputationSettings) -> None:
        self._lane: GroupCommit[UUID, Refreshed] = GroupCommit(
            database,
            store_activity.refresh_for,
            name="reputation.group_activity",
            max_batch=settings.reputation_max_batch,
            max_queue=settings.reputation_max_queue,
        )

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: ReputationSettings) -> AsyncIterator["Refreshing"]:
        """With a connection of its own, whose statements may take longer than others."""
        own = {
            "write_pool_max": 1,
            "read_pool_max": 1,
            "statement_timeout": settings.reputation_refresh_seconds,
            "replica_urls": [],
        }
        async with Database.open(settings.database.model_copy(update=own)) as database:
            yield cls(database, settings)

    async def drain(self) -> None:
        """Refuses what comes from now on and waits until everything taken on is answered."""
        await self._lane.drain()

    async def refresh(self, request_id: UUID) -> Committed[Refreshed]:
        return await self._lane.submit(request_id)
