"""Background jobs as operators name them, and what is told of them."""

from collections.abc import Sequence

from tally.operations.v1 import operations_pb2 as resources

from libs.rpc.times import to_timestamp
from services.operations.store_jobs import STATES, StoredJob

DEFAULT_PAGE_SIZE = 100

_STATES = dict(
    zip(
        STATES,
        (
            resources.JOB_STATE_QUEUED,
            resources.JOB_STATE_RUNNING,
            resources.JOB_STATE_SUCCEEDED,
            resources.JOB_STATE_FAILED,
        ),
        strict=True,
    )
)


def to_states(state: int) -> Sequence[str]:
    """As they are stored: the one that is asked for, or all."""
    return [name for name, value in _STATES.items() if state in (resources.JOB_STATE_UNSPECIFIED, value)]


def to_job(job: StoredJob) -> resources.Job:
    return resources.Job(
        job_id=str(job.job_id),
        job_type=job.job_type,
        key=job.key,
        state=_STATES[job.state],
        attempt_count=job.attempts,
        created_time=to_timestamp(job.created_time),
        scheduled_time=to_timestamp(job.scheduled_time) if job.scheduled_time else None,
        started_time=to_timestamp(job.started_time) if job.started_time else None,
        ended_time=to_timestamp(job.ended_time) if job.ended_time else None,
    )
