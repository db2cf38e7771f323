"""Jobs that do nothing, done by one worker: `python -m tests.load.jobs.run CONTENDER URL JOBS CONCURRENCY`.

`library` is procrastinate as it comes, in a schema of its own with nothing but what the library puts there; `tally` is a worker
as operations has one, with its role, its metrics and its log lines. Both begin when all jobs are queued. Writes to standard
error how many were done a second, from the first to the last.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

import uvloop
from procrastinate import App, PsycopgConnector, types

from libs.data.database import Database
from libs.data.settings import DatabaseSettings
from libs.devstack.postgres import free_port
from libs.jobs.job import Job, JobContext
from libs.jobs.queueing import enqueue
from libs.jobs.settings import JobSettings
from libs.jobs.worker import Worker
from libs.telemetry.setup import telemetry

ROLE, NAME = "tally_operations", "nothing"
LIBRARY = "library"
AT_ONCE = 1_000
PATIENCE = 300.0


class Clock:
    """Counts what is done."""

    def __init__(self, jobs: int) -> None:
        self._left = jobs
        self._jobs = jobs
        self._begun = 0.0
        self.seconds = 0.0
        self.over = asyncio.Event()

    def done(self) -> None:
        self._left -= 1
        if self._left == self._jobs - 1:
            self._begun = time.perf_counter()
        if self._left == 0:
            self.seconds = time.perf_counter() - self._begun
            self.over.set()

    async def rate(self) -> float:
        async with asyncio.timeout(PATIENCE):
            await self.over.wait()
        return (self._jobs - 1) / self.seconds


def batches(jobs: int) -> Iterator[list[str]]:
    """Keys of their own for so many jobs."""
    for first in range(0, jobs, AT_ONCE):
        yield [str(n) for n in range(first, min(jobs, first + AT_ONCE))]


async def library(url: str, jobs: int, concurrency: int) -> float:
    clock = Clock(jobs)
    app = App(connector=PsycopgConnector(conninfo=url, kwargs={"options": f"-c search_path={LIBRARY}"}))

    async def nothing(key: str) -> None:
        clock.done()

    task = app.task(name=NAME)(nothing)
    async with app.open_async():
        for keys in batches(jobs):
            given: list[types.JSONDict] = [{"key": key} for key in keys]
            await task.batch_defer_async(*given)
        working = asyncio.create_task(app.run_worker_async(concurrency=concurrency, install_signal_handlers=False))
        rate = await clock.rate()
        working.cancel()
        await asyncio.wait([working])
    return rate


async def tally(url: str, jobs: int, concurrency: int) -> float:
    clock = Clock(jobs)

    async def nothing(context: JobContext, key: str) -> None:
        clock.done()

    settings = DatabaseSettings(database_url=url, database_role=ROLE)
    worker = Worker(
        [Job(NAME, nothing)], JobContext({}, asyncio.to_thread), settings, JobSettings(concurrency=concurrency)
    )
    async with Database.open(settings) as database:
        for keys in batches(jobs):
            await database.write(partial(enqueue, due={(NAME, key): 0.0 for key in keys}))
        working = asyncio.create_task(worker.run())
        rate = await clock.rate()
        await worker.drain()
        await working
    return rate


CONTENDERS: dict[str, Callable[[str, int, int], Awaitable[float]]] = {"library": library, "tally": tally}


async def main(contender: str, url: str, jobs: int, concurrency: int) -> None:
    async with telemetry("operations", log_format="json", log_level="info", metrics_address=("127.0.0.1", free_port())):
        rate = await CONTENDERS[contender](url, jobs, concurrency)
    print(rate, file=sys.stderr)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
