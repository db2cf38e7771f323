"""Makes jobs due: by what was committed, and by the clock.

Jobs are queued from the event stream and not by the transactions that make them due, which have better things to do. How far
the stream was looked at is stored with the jobs, in one transaction, so none is missed and none queued twice, however many
processes look and whenever one of them dies.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextvars import Context
from functools import partial

import structlog

from libs.data.consistency import PRIMARY
from libs.data.database import Database
from libs.data.errors import Halted, TallyError
from libs.data.events import Cursor, StoredEvent
from libs.jobs.job import Job
from libs.jobs.metrics import QUEUED
from services.operations import store_schedule as store

log = structlog.get_logger(__name__)

HALTED_PAUSE = 1.0


class Scheduling:
    """A background task of the operations service.

    Args:
        interval_seconds: between two looks at the stream.
    """

    def __init__(self, database: Database, jobs: Sequence[Job], interval_seconds: float) -> None:
        self._database = database
        self._following = [job for job in jobs if job.follows is not None]
        self._every = {job.name: job.every for job in jobs if job.every is not None}
        self._interval = interval_seconds
        self._cursor: Cursor | None = None
        self._halted = False

    async def run(self) -> None:
        """Until cancelled; a round that fails is tried again, from where the last one ended."""
        await asyncio.create_task(self._run(), context=Context())

    async def _run(self) -> None:
        while True:
            pause = self._interval
            try:
                while not await self.round():
                    pass
                self._halted = False
            except Halted:
                if not self._halted:
                    log.info("scheduling_waits_for_resume")
                self._halted, pause = True, HALTED_PAUSE
            except TallyError as error:
                log.warning("scheduling_postponed", reason=error.reason)
            except Exception:
                log.exception("scheduling_failed", cursor=self._cursor)
            await asyncio.sleep(pause)

    async def round(self) -> bool:
        """Looks at a page of the stream and at the timetable, and queues what is due; whether the stream's end was reached.

        Raises:
            TallyError: nothing was queued.
        """
        if self._cursor is None:
            await self._begin()
        assert self._cursor is not None
        news = await self._database.read(partial(store.news, cursor=self._cursor, types=list(self._every)), PRIMARY)
        page = news.page
        if page.horizon <= self._cursor.xid:
            log.error("event_stream_went_back", cursor=self._cursor.xid, horizon=page.horizon)
            end = await self._database.read(store.stream_end, PRIMARY)
            await self._database.write(partial(store.set_cursor, cursor=end))
            self._cursor = end
            return False
        due = [item for event in page.events for item in self._due(event)]
        every = {job_type: self._every[job_type] for job_type in news.overdue}
        # Most of the time nothing is, and a cursor that is behind only has to be caught up with after a restart.
        if due or every:
            QUEUED.add(
                (
                    await self._database.write(
                        partial(store.queue_due, due=due, cursor=page.cursor, every=every),
                    )
                ).value
            )
        self._cursor = page.cursor
        return page.complete

    async def _begin(self) -> None:
        if self._every:
            await self._database.write(partial(store.add_to_timetable, types=list(self._every)))
        self._cursor = await self._database.read(store.stored_cursor, PRIMARY)

    def _due(self, event: StoredEvent) -> Iterator[store.DueByEvent]:
        for job in self._following:
            assert job.follows is not None
            due = job.follows(event)
            if due is not None:
                yield store.DueByEvent(event.cursor, job.name, due.key, due.pause)
