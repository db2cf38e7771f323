"""The one way to change memberships: everybody who joins, leaves or gets a role meets in one lane, in order of arrival."""

from libs.data.database import Database
from libs.data.group_commit import GroupCommit
from services.reputation.groups import store
from services.reputation.groups.model import Changed, Command
from services.reputation.settings import ReputationSettings

Joining = GroupCommit[Command, Changed]


def membership_lane(database: Database, settings: ReputationSettings) -> Joining:
    return GroupCommit(
        database,
        store.change_memberships,
        name="reputation.groups",
        max_batch=settings.reputation_max_batch,
        max_queue=settings.reputation_max_queue,
    )
