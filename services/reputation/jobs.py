"""What is done for reputation in the background, whether or not a process of the reputation service runs."""

from functools import partial

from libs.data.consistency import PRIMARY
from libs.jobs.job import Job, JobContext
from libs.jobs.reconciliation import reporting
from services.reputation.ledger import store_users

ROLE = "tally_reputation"
AT_ONCE = 500


async def demote_users(context: JobContext, key: str) -> None:
    """Writes down the levels that fell because their time of grace is over. Under the row's lock only one finds it due."""
    database = context.database(ROLE)
    while due := await database.read(partial(store_users.due_for_demotion, limit=AT_ONCE), PRIMARY):
        await database.write(partial(store_users.demote, user_ids=due))


JOBS = (
    Job("demote_users", demote_users, timeout=30.0, every=60.0),
    reporting("reconcile_reputation", ROLE),
)
