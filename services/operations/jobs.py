"""What operations does in the background for all services: what is old is deleted, some at a time."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from libs.data.database import Database
from libs.data.transaction import Transaction
from libs.jobs.job import Job, JobContext
from libs.jobs.pruning import prune_done, prune_failed
from libs.telemetry.instruments import counter
from services.operations.settings import OperationsSettings
from services.operations.store_upkeep import prune_events

ROLE = "tally_operations"
AT_ONCE = 5_000
# Transactions of one run; what is left waits for the next.
MOST_BATCHES = 50

PRUNED = counter("tally.operations.pruned", "{row}", "Events and jobs deleted because they were old.")

Prune = Callable[[Transaction, timedelta, int], Awaitable[int]]


def jobs(settings: OperationsSettings) -> tuple[Job, ...]:
    """The types of job, as they are set."""
    events = timedelta(days=settings.operations_events_days)
    done = timedelta(days=settings.operations_jobs_days)
    failed = timedelta(days=settings.operations_failed_jobs_days)

    async def prune_old_events(context: JobContext, key: str) -> None:
        await _prune(context.database(ROLE), prune_events, events)

    async def prune_old_jobs(context: JobContext, key: str) -> None:
        await _prune(context.database(ROLE), prune_done, done)
        await _prune(context.database(ROLE), prune_failed, failed)

    return (
        Job("prune_events", prune_old_events, timeout=60.0, every=60.0),
        Job("prune_jobs", prune_old_jobs, timeout=60.0, every=60.0),
    )


async def _prune(database: Database, prune: Prune, retention: timedelta) -> None:
    for _ in range(MOST_BATCHES):
        pruned = (await database.write(lambda tx: prune(tx, retention, AT_ONCE))).value
        PRUNED.add(pruned, {"what": prune.__name__.removeprefix("prune_")})
        if pruned < AT_ONCE:
            return
