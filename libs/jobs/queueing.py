"""Queueing jobs, within a transaction: they are queued exactly when it commits."""

from collections.abc import Mapping

from libs.data.transaction import Transaction

# Of one key at most one waits, by a unique index. Whoever finds one there adds nothing: it begins after this transaction, for a
# worker's taking it would have been waited for here, so it sees what made it due. In order of key, so that two who queue the
# same jobs do not wait for each other in a circle.
ENQUEUE = """
INSERT INTO jobs.procrastinate_jobs (queue_name, task_name, lock, queueing_lock, args, scheduled_at)
SELECT job_type, job_type, job_type || ':' || key, job_type || ':' || key, jsonb_build_object('key', key),
       CASE WHEN pause > 0 THEN clock_timestamp() + pause * interval '1 second' END
FROM unnest($1::text[], $2::text[], $3::float8[]) AS due (job_type, key, pause)
ORDER BY job_type, key
ON CONFLICT (queueing_lock) WHERE status = 'todo' DO NOTHING
"""


async def enqueue(tx: Transaction, due: Mapping[tuple[str, str], float]) -> int:
    """Queues jobs, in one statement, and answers how many of them did not wait already.

    Args:
        due: by job type and key, the seconds to wait before the job begins.
    """
    if not due:
        return 0
    types, keys = zip(*due, strict=True)
    return await tx.execute(ENQUEUE, list(types), list(keys), list(due.values()))
