"""What is done for claims in the background, whether or not a process of the claims service runs."""

from datetime import timedelta
from functools import partial

from libs.data.consistency import PRIMARY
from libs.data.errors import TallyError
from libs.jobs.job import Job, JobContext
from libs.jobs.reconciliation import reporting
from services.claims.exchanges import store
from services.claims.exchanges.expiry import AT_ONCE, EXPIRED
from services.claims.exchanges.model import Expire
from services.claims.exchanges.store_reads import overdue

ROLE = "tally_claims"
# Seconds a hold is left to the processes of the service, which look for those that are over each second.
GRACE = 10.0


async def expire_holds(context: JobContext, key: str) -> None:
    """Ends holds that no process of the service has ended. Under the post's lock only one finds a hold still there."""
    database = context.database(ROLE)
    ended = AT_ONCE
    while ended:
        found = await database.read(partial(overdue, limit=AT_ONCE, grace=GRACE), PRIMARY)
        commands = [Expire(exchange_id) for exchange_id in found]
        committed = await database.write(partial(store.claim_and_advance, commands=commands, hold=timedelta(0)))
        if errors := [outcome for outcome in committed.value if isinstance(outcome, TallyError)]:
            raise errors[0]
        ended = sum(outcome is not None for outcome in committed.value)
        EXPIRED.add(ended)


JOBS = (
    Job("expire_holds", expire_holds, timeout=30.0, every=30.0),
    reporting("reconcile_claims", ROLE),
)
