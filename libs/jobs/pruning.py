"""The end of old jobs. The library's own statement reads every job there is; these take the oldest, so many at a time."""

from datetime import timedelta

from libs.data.transaction import Transaction


def _oldest(statuses: str) -> str:
    """Of the `$2` oldest jobs of some statuses, deletes those that ended longer ago than `$1`, with their history."""
    return f"""
WITH oldest AS MATERIALIZED (
    SELECT id FROM jobs.procrastinate_jobs WHERE status IN ({statuses}) ORDER BY id LIMIT $2
),
ended AS MATERIALIZED (
    SELECT id FROM oldest
    WHERE (SELECT max(at) FROM jobs.procrastinate_events WHERE job_id = oldest.id) < statement_timestamp() - $1::interval
)
DELETE FROM jobs.procrastinate_jobs job USING ended WHERE job.id = ended.id AND job.status IN ({statuses})
"""


PRUNE_DONE = _oldest("'succeeded', 'cancelled', 'aborted'")
PRUNE_FAILED = _oldest("'failed'")


async def prune_done(tx: Transaction, retention: timedelta, at_most: int) -> int:
    """Deletes jobs that are done, if they ended longer ago than so; answers how many that were."""
    return await tx.execute(PRUNE_DONE, retention, at_most)


async def prune_failed(tx: Transaction, retention: timedelta, at_most: int) -> int:
    """Deletes jobs that failed for good, likewise. After that they cannot be tried again."""
    return await tx.execute(PRUNE_FAILED, retention, at_most)
