"""A queue of a test's own, and workers on it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from libs.data.database import Database
from libs.data.settings import DatabaseSettings
from libs.jobs.job import Job, JobContext
from libs.jobs.queueing import enqueue
from libs.jobs.settings import JobSettings
from libs.jobs.worker import Worker
from tests.eventually import becomes_true
from tests.stored import Connection

ROLE = "tally_operations"


class Workshop:
    """The queue, with the rights it has in production; `db` looks into it as a superuser."""

    def __init__(self, settings: DatabaseSettings, database: Database, db: Connection) -> None:
        self._settings = settings
        self.database = database
        self.db = db

    async def queue(self, job_type: str, *keys: str, pause: float = 0.0) -> int:
        due = {(job_type, key): pause for key in keys or ("",)}
        return (await self.database.write(lambda tx: enqueue(tx, due))).value

    async def states(self, job_type: str) -> dict[str, int]:
        rows = await self.db.fetch(
            "SELECT status::text, count(*) FROM jobs.procrastinate_jobs WHERE task_name = $1 GROUP BY 1", job_type
        )
        return {row[0]: row[1] for row in rows}

    async def become(self, job_type: str, within: float = 10.0, **states: int) -> None:
        """Waits until there are so many jobs of each state, and none of another."""

        async def are() -> bool:
            return await self.states(job_type) == states

        try:
            await becomes_true(are, within)
        except AssertionError as error:
            raise AssertionError(f"{await self.states(job_type)} instead of {states}") from error

    async def attempts(self, job_type: str) -> list[int]:
        rows = await self.db.fetch(
            "SELECT attempts FROM jobs.procrastinate_jobs WHERE task_name = $1 ORDER BY id", job_type
        )
        return [row["attempts"] for row in rows]

    def worker(self, jobs: Sequence[Job], context: JobContext | None = None, **settings: float) -> Worker:
        """A worker that hurries; `settings` overrides."""
        hurried = {
            "poll_seconds": 0.05,
            "heartbeat_seconds": 0.1,
            "stalled_seconds": 5.0,
            "back_off_seconds": 0.05,
            "back_off_most_seconds": 0.2,
            **settings,
        }
        context = context or JobContext({ROLE: self.database}, asyncio.to_thread)
        return Worker(jobs, context, self._settings, JobSettings.model_validate(hurried))

    @asynccontextmanager
    async def working(self, *jobs: Job, context: JobContext | None = None, **settings: float) -> AsyncIterator[Worker]:
        """A worker at work; drained at the end, unless it was already."""
        worker = self.worker(jobs, context, **settings)
        running = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            await worker.drain()
            with suppress(asyncio.CancelledError):
                await running
