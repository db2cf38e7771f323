"""Works on jobs: several at once, each within its time, and those of workers that died."""

import asyncio
import logging
from collections.abc import Sequence

import psycopg
import structlog
from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job as StoredJob
from procrastinate.jobs import Status
from procrastinate.worker import Worker as ProcrastinateWorker

from libs.data.settings import DatabaseSettings
from libs.jobs.backoff import BackOff
from libs.jobs.errors import WorkerDied
from libs.jobs.job import Job, JobContext
from libs.jobs.metrics import RUNS, TAKEN_OVER, set_depth
from libs.jobs.queue import Queue
from libs.jobs.running import Runs, judge
from libs.jobs.settings import JobSettings

log = structlog.get_logger(__name__)

# Each run has a line of its own; procrastinate's say the same of it, several times.
logging.getLogger("procrastinate").setLevel(logging.WARNING)
logging.getLogger("procrastinate.worker").setLevel(logging.CRITICAL)
logging.getLogger("procrastinate.worker.worker").setLevel(logging.WARNING)

# Taking a job and ending it are short statements, so a few connections serve many jobs.
POOL_MAX = 4
CONNECT_SECONDS = 5.0
RESTART_SECONDS = 1.0


class Worker:
    """One worker. Any number of processes may have one; each job is taken by one of them.

    Args:
        jobs: what it can do; jobs of other types are left to others.
        database: where the queue is, and the role that may use it.
    """

    def __init__(
        self, jobs: Sequence[Job], context: JobContext, database: DatabaseSettings, settings: JobSettings
    ) -> None:
        self._jobs = {job.name: job for job in jobs}
        self._context = context
        self._database = database
        self._settings = settings
        self._back_off = BackOff(settings.back_off_seconds, settings.back_off_most_seconds)
        self._stopping = asyncio.Event()
        self._stopped = asyncio.Event()
        self._stopped.set()
        self._worker: ProcrastinateWorker | None = None

    async def run(self) -> None:
        """Until drained or cancelled; a worker that fails, such as for want of a database, is replaced by a new one."""
        self._stopped.clear()
        try:
            while not self._stopping.is_set():
                try:
                    await self._work()
                except (ConnectorException, psycopg.Error, OSError, TimeoutError) as error:
                    log.warning("worker_lost_the_queue", error=type(error).__name__, detail=str(error))
                except Exception:
                    log.exception("worker_failed")
                await self._pause(RESTART_SECONDS)
        finally:
            self._stopped.set()

    async def drain(self) -> None:
        """Takes no more jobs, and returns when those that run have ended, or were put back because their time was over."""
        self._stopping.set()
        if self._worker is not None:
            self._worker.stop()  # type: ignore[no-untyped-call]
        await self._stopped.wait()

    async def _work(self) -> None:
        connector = PsycopgConnector(
            conninfo=self._database.database_url,
            min_size=1,
            max_size=POOL_MAX,
            timeout=CONNECT_SECONDS,
            configure=self._configure,
        )
        app = App(connector=connector)
        queue = app.job_manager = Queue(connector)
        for job in self._jobs.values():
            runs = Runs(job, self._context, queue, self._back_off)
            app.task(name=job.name, queue=job.name, pass_context=True, retry=runs)(runs.run)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await app.open_async()
            sweeping = asyncio.create_task(self._sweep(queue))
            try:
                await self._take_jobs(app)
            finally:
                sweeping.cancel()
                await asyncio.wait([sweeping])
        finally:
            await app.close_async()

    async def _take_jobs(self, app: App) -> None:
        if self._stopping.is_set():
            return
        self._worker = ProcrastinateWorker(
            app,
            queues=list(self._jobs),
            concurrency=self._settings.concurrency,
            fetch_job_polling_interval=self._settings.poll_seconds,
            update_heartbeat_interval=self._settings.heartbeat_seconds,
            stalled_worker_timeout=self._settings.stalled_seconds,
            shutdown_graceful_timeout=self._settings.drain_seconds,
            install_signal_handlers=False,
        )
        try:
            await self._worker.run()  # type: ignore[no-untyped-call]
        finally:
            self._worker = None

    async def _configure(self, connection: "psycopg.AsyncConnection[object]") -> None:
        await connection.set_autocommit(True)
        await connection.execute(
            "SELECT set_config('search_path', 'jobs', false), set_config('application_name', 'tally-jobs', false),"
            " set_config('timezone', 'UTC', false), set_config('statement_timeout', '10s', false),"
            " set_config('role', %s, false)",
            [self._database.database_role or "none"],
        )

    async def _sweep(self, queue: Queue) -> None:
        """Looks after the queue itself, for ever: jobs of workers that died, and how many jobs there are."""
        while True:
            try:
                if self._worker is not None and self._worker.worker_id is not None:
                    # It gives signs of life itself, but none once it is stopping and waits for jobs to end.
                    await queue.update_heartbeat(self._worker.worker_id)
                for job in await queue.get_stalled_jobs(seconds_since_heartbeat=self._settings.stalled_seconds):
                    await self._take_over(queue, job)
                set_depth(await queue.depth())
            except ConnectorException as error:
                log.warning("queue_not_looked_after", error=type(error).__name__)
            except Exception:
                log.exception("queue_not_looked_after")
            await asyncio.sleep(self._settings.heartbeat_seconds)

    async def _take_over(self, queue: Queue, stored: StoredJob) -> None:
        """Has a job begun again at once whose worker died, unless workers died of it as often as it may be tried."""
        job = self._jobs.get(stored.task_name)
        if job is None:
            return  # left to a worker that knows it
        log.warning("job_taken_over", job_type=job.name, job_id=stored.id, attempt=stored.attempts + 1)
        TAKEN_OVER.add(1, {"job_type": job.name})
        if judge(job, stored.attempts + 1, WorkerDied(), self._back_off).outcome == "failed":
            RUNS.add(1, {"job_type": job.name, "outcome": "failed"})
            await queue.finish_job(stored, Status.FAILED, delete_job=False)
        else:
            await queue.retry_job(stored)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass
