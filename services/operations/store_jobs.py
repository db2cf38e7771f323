"""Background jobs as operators see them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.data.pages import decode_page_token, encode_page_token
from libs.data.requests import Replay, Requests
from libs.data.transaction import Record, Snapshot, Transaction
from services.operations.errors import JobNotFailed, JobNotFound

# As the library names how a job stands.
STATES = ("todo", "doing", "succeeded", "failed")


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A job, and how it stands: one of `STATES`.

    Args:
        attempts: that counted, the one that runs included.
        scheduled_time: of one that waits for its time.
        ended_time: of one that succeeded or failed for good.
    """

    job_id: int
    job_type: str
    key: str
    state: str
    attempts: int
    created_time: datetime
    scheduled_time: datetime | None
    started_time: datetime | None
    ended_time: datetime | None


RETRIES = Requests("operations", "RetryJob", StoredJob)

JOB = """
SELECT j.id, j.task_name, coalesce(j.args->>'key', '') AS key, j.status::text AS state,
       j.attempts + (j.status = 'doing')::integer AS attempts, told.created_time,
       CASE WHEN j.status = 'todo' THEN j.scheduled_at END AS scheduled_time, told.started_time,
       CASE WHEN j.status IN ('succeeded', 'failed') THEN told.ended_time END AS ended_time
FROM jobs.procrastinate_jobs j, LATERAL (
    SELECT min(at) AS created_time, max(at) FILTER (WHERE type = 'started') AS started_time,
           max(at) FILTER (WHERE type IN ('succeeded', 'failed')) AS ended_time
    FROM jobs.procrastinate_events e WHERE e.job_id = j.id
) told
"""
PAGE = f"""
{JOB} WHERE j.id < $1 AND ($2 = '' OR j.task_name = $2) AND j.status = ANY($3::text[]::jobs.procrastinate_job_status[])
ORDER BY j.id DESC LIMIT $4
"""
ONE = f"{JOB} WHERE j.id = $1"
TRY_AGAIN = "SELECT jobs.try_again($1)"

NEWEST = 2**63 - 1


async def jobs_page(
    snapshot: Snapshot, job_type: str, states: Sequence[str], size: int, token: str
) -> tuple[list[StoredJob], str]:
    """Jobs, newest first, and the next page's token.

    Args:
        job_type: only of this type; all where it is empty.

    Raises:
        InvalidInput: the token is not one of this listing's.
    """
    listing = f"jobs {job_type} {' '.join(states)}"
    key = decode_page_token(token, listing, _job_id)
    rows = await snapshot.fetch(PAGE, key[0] if key else NEWEST, job_type, list(states), size + 1)
    jobs = [_job(row) for row in rows[:size]]
    return jobs, encode_page_token(listing, str(jobs[-1].job_id)) if len(rows) > size else ""


async def retry(tx: Transaction, job_id: int, request_id: UUID) -> StoredJob | Replay[StoredJob]:
    """Queues a job that failed for good, or has the one that waits with the same key already begin at once.

    Raises:
        JobNotFound: there is none.
        JobNotFailed: it has not failed for good.
    """
    replay = await RETRIES.claim(tx, request_id, job_id)
    if replay is not None:
        return replay
    waiting = await tx.fetchval(TRY_AGAIN, job_id) if job_id <= NEWEST else None
    if waiting is None:
        row = await tx.fetchrow(ONE, job_id) if job_id <= NEWEST else None
        raise JobNotFound(job_id) if row is None else JobNotFailed(job_id)
    row = await tx.fetchrow(ONE, waiting)
    assert row is not None
    job = _job(row)
    await RETRIES.record(tx, request_id, job)
    return job


def _job_id(text: str) -> int:
    number = int(text)
    if not 0 <= number <= NEWEST:
        raise ValueError(text)
    return number


def _job(row: Record) -> StoredJob:
    return StoredJob(*row)
