"""The worker: jobs of every service, made due and done here, each with the rights of the service that it belongs to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from libs.data.database import Database
from libs.jobs.job import Job, JobContext
from libs.jobs.processes import Processes
from libs.jobs.worker import Worker
from services.claims.jobs import JOBS as CLAIMS
from services.operations.jobs import ROLE
from services.operations.jobs import jobs as upkeep
from services.operations.scheduling import Scheduling
from services.operations.settings import OperationsSettings
from services.petition.jobs import JOBS as PETITION
from services.reputation.jobs import JOBS as REPUTATION
from services.voting.jobs import JOBS as VOTING

# What the processes that compute load before they are asked to.
COMPUTES = ("services.voting.analysing_numbers",)

Drain = Sequence[Callable[[], Awaitable[None]]]


def all_jobs(settings: OperationsSettings) -> tuple[Job, ...]:
    """Every type of job there is."""
    return (*upkeep(settings), *PETITION, *VOTING, *CLAIMS, *REPUTATION)


@asynccontextmanager
async def background(
    settings: OperationsSettings, database: Database, services: Mapping[str, Database]
) -> AsyncIterator[Drain]:
    """Works on jobs while the context is open, unless the settings say that others do; yields how that is drained.

    Args:
        database: as operations sees it.
        services: the database as each service's role sees it.
    """
    if not settings.jobs.enabled:
        yield []
        return
    jobs = all_jobs(settings)
    async with Processes.open(settings.jobs.processes, COMPUTES) as processes:
        context = JobContext({ROLE: database, **services}, processes.call)
        worker = Worker(jobs, context, settings.database, settings.jobs)
        scheduling = Scheduling(database, jobs, settings.jobs.follow_seconds)

        async def work() -> None:
            await processes.ready()
            await worker.run()

        tasks = [asyncio.create_task(each) for each in (work(), scheduling.run())]
        try:
            yield [worker.drain]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
