"""One run of a job: its time limit, what becomes of it, and what is said of it."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

import structlog
from procrastinate.job_context import JobContext as Taken
from procrastinate.jobs import Job as StoredJob
from procrastinate.retry import BaseRetryStrategy, RetryDecision

from libs.data.deadlines import current_deadline
from libs.data.errors import Halted
from libs.jobs.backoff import BackOff
from libs.jobs.job import Job, JobContext
from libs.jobs.metrics import RUNS, SECONDS
from libs.jobs.queue import Queue

log = structlog.get_logger("tally.jobs")

# Of a job that was put back: it is tried again after so many seconds, by a worker that takes jobs at all.
PUT_BACK_PAUSE = 1.0

Outcome = Literal["succeeded", "retried", "failed", "put_back"]


class Verdict(NamedTuple):
    """What becomes of a run that ended, and the seconds before the next one."""

    outcome: Outcome
    pause: float = 0.0


def judge(job: Job, attempts: int, error: BaseException | None, back_off: BackOff) -> Verdict:
    """What becomes of a run.

    Args:
        attempts: that counted, this one included.
        error: what ended it; None if nothing did.
    """
    if error is None:
        return Verdict("succeeded")
    if isinstance(error, Halted | asyncio.CancelledError):  # cancelled: the worker stops
        return Verdict("put_back", PUT_BACK_PAUSE)
    if attempts > job.retries:
        return Verdict("failed")
    return Verdict("retried", back_off.pause(attempts))


class TryAgain(Exception):  # a decision, not an error
    """A run that ended so that another follows."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.outcome)
        self.verdict = verdict


class Runs(BaseRetryStrategy):
    """The runs of one type of job, as procrastinate has them done and, where they failed, done again."""

    def __init__(self, job: Job, context: JobContext, queue: Queue, back_off: BackOff) -> None:
        self._job = job
        self._context = context
        self._queue = queue
        self._back_off = back_off

    async def run(self, taken: Taken, key: str) -> None:
        """Does the work.

        Raises:
            TryAgain: it is to be done again.
            Whatever ended the last attempt.
        """
        begun = time.monotonic()
        current_deadline.set(begun + self._job.timeout)
        error: BaseException | None = None
        try:
            async with asyncio.timeout(self._job.timeout):
                await self._job.work(self._context, key)
        except BaseException as raised:
            error = raised
        verdict = judge(self._job, taken.job.attempts + 1, error, self._back_off)
        self._tell(taken.job, key, verdict, time.monotonic() - begun, error)
        if verdict.pause:
            raise TryAgain(verdict) from error
        if error is not None:
            raise error

    def get_retry_decision(self, *, exception: BaseException, job: StoredJob) -> RetryDecision | None:
        """When to run again; None if never."""
        if not isinstance(exception, TryAgain):
            return None
        if exception.verdict.outcome == "put_back":
            assert job.id is not None
            self._queue.uncounted.add(job.id)
        return RetryDecision(retry_at=datetime.now(UTC) + timedelta(seconds=exception.verdict.pause))

    def _tell(self, stored: StoredJob, key: str, verdict: Verdict, seconds: float, error: BaseException | None) -> None:
        RUNS.add(1, {"job_type": self._job.name, "outcome": verdict.outcome})
        SECONDS.record(seconds, {"job_type": self._job.name})
        failed = verdict.outcome in ("retried", "failed")
        say = {"failed": log.error, "retried": log.warning}.get(verdict.outcome, log.info)
        say(
            "job",
            job_type=self._job.name,
            key=key,
            job_id=stored.id,
            attempt=stored.attempts + 1,
            outcome=verdict.outcome,
            duration_ms=round(seconds * 1e3, 3),
            **({"error": type(error).__name__} if error else {}),
            **({"exc_info": error} if failed else {}),
        )
