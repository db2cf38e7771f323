"""Claims of food and what becomes of them, on their way into shared transactions and back."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import cast
from uuid import UUID

from libs.data.database import Committed, Database
from libs.data.errors import TallyError
from libs.data.group_commit import GroupCommit
from services.claims.exchanges import store
from services.claims.exchanges.model import Advance, Advanced, ClaimFood, Command, Expire
from services.claims.settings import ClaimsSettings


class Exchanging:
    """Takes commands on and answers each after its commit."""

    def __init__(self, database: Database, settings: ClaimsSettings) -> None:
        self._lane: GroupCommit[Command, Advanced | None] = GroupCommit(
            database,
            partial(store.claim_and_advance, hold=timedelta(seconds=settings.claims_hold_seconds)),
            name="claims.exchanges",
            max_batch=settings.claims_max_batch,
            max_queue=settings.claims_max_queue,
        )

    async def drain(self) -> None:
        """Refuses what comes from now on and waits until everything taken on is answered."""
        await self._lane.drain()

    async def do(self, command: ClaimFood | Advance) -> Committed[Advanced]:
        return cast("Committed[Advanced]", await self._lane.submit(command))

    async def expire(self, exchange_ids: Sequence[UUID]) -> int:
        """Ends those of the holds whose time is over; how many that were.

        Raises:
            TallyError: why one could not be ended.
        """
        expired = 0
        for outcome in await self._lane.submit_many([Expire(exchange_id) for exchange_id in exchange_ids]):
            if isinstance(outcome, TallyError):
                raise outcome
            expired += outcome.value is not None
        return expired
