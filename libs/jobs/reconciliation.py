"""Jobs that compare counters of aggregates that were active lately with their rows, round after round.

A round looks at what moved since the last one that ended, so one that fails, or is halted, is made up for by the next.
"""

import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from libs.data.activity import active_since
from libs.data.catalog import COUNTERS
from libs.data.consistency import PRIMARY
from libs.data.counters import Counter
from libs.data.database import Database
from libs.data.discrepancies import report
from libs.data.reconciliation import reconcile
from libs.data.rounds import begin, end
from libs.data.tables import AggregateId, Table
from libs.data.verification import Drift
from libs.jobs.job import Job, JobContext

EVERY = 20.0
# Aggregates of each kind in one round, drawn by lot; the others are seen when they are active again.
MOST_AGGREGATES = 200

Act = Callable[[Database, Sequence[Counter], Sequence[AggregateId]], Awaitable[list[Drift]]]


def healing(name: str, role: str) -> Job:
    """A job that sets counters of a service right: they are repaired, alerted and audited.

    Args:
        name: of the job's type.
        role: of the service whose counters they are: all that count rows.
    """
    return _job(name, role, reconcile)


def reporting(name: str, role: str) -> Job:
    """A job that alerts an operator of counters of a service, and leaves them as they are."""
    return _job(name, role, report)


def _job(name: str, role: str, act: Act) -> Job:
    counters: dict[Table, list[Counter]] = {}
    for counter in COUNTERS.values():
        if counter.counts and counter.aggregate.role == role:
            counters.setdefault(counter.aggregate, []).append(counter)
    assert counters, f"{role} has no counters"

    async def work(context: JobContext, key: str) -> None:
        database = context.database(role)
        since = await database.read(partial(begin, job_type=name), PRIMARY)
        activity = await database.read(partial(active_since, since=since, tables=counters), PRIMARY)
        for table, moved in activity.aggregates.items():
            some = random.sample(moved, min(len(moved), MOST_AGGREGATES))
            await act(database, counters[table], some)
        await database.write(partial(end, job_type=name, until=activity.until))

    return Job(name, work, timeout=60.0, every=EVERY)
