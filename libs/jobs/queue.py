"""The queue as workers use it: procrastinate's tables and its way of taking jobs, with what Tally asks beyond that.

A worker ends only runs that are still its own, for a worker that was slow may find its job taken over. And a job that is to
run again gives way to one that waits with the same key.
"""

import asyncio
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import structlog
from procrastinate.connector import BaseConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager

log = structlog.get_logger(__name__)

# None while writes are halted. OFFSET 0 keeps the function from being called once a column.
FETCH = """
SELECT (job).* FROM (
    SELECT CASE WHEN NOT halted THEN procrastinate_fetch_job_v2(%(queues)s::varchar[], %(worker_id)s) END AS job
    FROM operations.halt OFFSET 0
) fetched
"""
END = """
UPDATE procrastinate_jobs SET status = %(status)s::procrastinate_job_status, attempts = attempts + 1
WHERE id = %(job_id)s AND status = 'doing' AND worker_id IS NOT DISTINCT FROM %(worker_id)s
RETURNING id
"""
PUT_BACK = "SELECT put_back(%(job_id)s, %(worker_id)s, %(pause)s, %(attempts)s) AS id"
DEPTH = """
SELECT task_name, CASE status WHEN 'todo' THEN 'queued' WHEN 'doing' THEN 'running' ELSE 'failed' END AS state,
       count(*) AS count
FROM procrastinate_jobs WHERE status IN ('todo', 'doing', 'failed') GROUP BY 1, 2
"""

# How long the end of a run is tried to be written down, in seconds, and how long between two tries.
PERSISTENCE, PAUSE = 20.0, 0.5


class Queue(JobManager):
    """What a worker of procrastinate asks of the queue.

    Args:
        connector: open, with the schema `jobs` in its search path.
    """

    def __init__(self, connector: BaseConnector) -> None:
        super().__init__(connector)
        # Runs that end without counting as an attempt, by job id.
        self.uncounted: set[int] = set()

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        """Takes the next job that is due; None if there is none, or while writes are halted."""
        row = await self.connector.execute_query_one_async(FETCH, queues=queues, worker_id=worker_id)
        return None if row["id"] is None else Job.from_row(row)

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:
        """Ends a job for good, if its run is still the caller's."""
        await self._persist(job, END, status=status.value)

    async def retry_job(
        self,
        job: Job,
        retry_at: datetime | None = None,
        priority: int | None = None,
        queue: str | None = None,
        lock: str | None = None,
    ) -> None:
        """Has a job run again, if its run is still the caller's; one that waits with the same key takes its place."""
        assert job.id is not None
        pause = max(timedelta(0), retry_at - datetime.now(UTC)) if retry_at else timedelta(0)
        attempts = job.attempts + (job.id not in self.uncounted)
        self.uncounted.discard(job.id)
        await self._persist(job, PUT_BACK, pause=pause, attempts=attempts)

    async def depth(self) -> dict[tuple[str, str], int]:
        """How many jobs are not done, by type and state."""
        rows = await self.connector.execute_query_all_async(DEPTH)
        return {(row["task_name"], row["state"]): row["count"] for row in rows}

    async def _persist(self, job: Job, sql: str, **arguments: object) -> None:
        """Writes down how a run ended, for a while even if the database is away: nobody else would.

        Raises:
            ConnectorException: it stayed away. The job is taken over once its worker is gone.
        """
        give_up = time.monotonic() + PERSISTENCE
        while True:
            try:
                rows = await self.connector.execute_query_all_async(
                    sql, job_id=job.id, worker_id=job.worker_id, **arguments
                )
            except ConnectorException:
                if time.monotonic() > give_up:
                    raise
                await asyncio.sleep(PAUSE)
            else:
                if not rows or rows[0]["id"] is None:
                    log.warning("job_was_taken_over", job_type=job.task_name, job_id=job.id)
                return
