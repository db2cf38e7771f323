"""The one way into ledgers: events and reversals of everybody meet in one lane, in order of arrival."""

from libs.data.database import Database
from libs.data.group_commit import GroupCommit
from services.reputation.ledger import store
from services.reputation.ledger.model import Command, Recorded
from services.reputation.settings import ReputationSettings

Recording = GroupCommit[Command, Recorded]


def ledger_lane(database: Database, settings: ReputationSettings) -> Recording:
    return GroupCommit(
        database,
        store.record_and_reverse,
        name="reputation.ledger",
        max_batch=settings.reputation_max_batch,
        max_queue=settings.reputation_max_queue,
    )
