"""Events and reversals, on their way into shared transactions and back."""

from libs.data.database import Committed, Database
from libs.data.group_commit import GroupCommit
from services.reputation.ledger import store
from services.reputation.ledger.model import Command, Recorded
from services.reputation.settings import ReputationSettings


class Recording:
    """Takes commands on and answers each after its commit."""

    def __init__(self, database: Database, settings: ReputationSettings) -> None:
        self._lane: GroupCommit[Command, Recorded] = GroupCommit(
            database,
            store.record_and_reverse,
            name="reputation.ledger",
            max_batch=settings.reputation_max_batch,
            max_queue=settings.reputation_max_queue,
        )

    async def drain(self) -> None:
        """Refuses what comes from now on and waits until everything taken on is answered."""
        await self._lane.drain()

    async def do(self, command: Command) -> Committed[Recorded]:
        return await self._lane.submit(command)
