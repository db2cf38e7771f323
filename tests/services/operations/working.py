"""Background jobs without a queue: their work is called as a worker would call it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from libs.data.database import Database
from libs.data.settings import DatabaseSettings
from libs.jobs.job import Job, JobContext
from services.operations.databases import service_databases


async def _nothing_is_computed(*_: Any) -> Any:
    raise AssertionError("these jobs compute nothing")


@asynccontextmanager
async def job_context(database_url: str) -> AsyncIterator[JobContext]:
    """What a worker gives to jobs: the database as each role sees it."""
    settings = DatabaseSettings(database_url=database_url, database_role="tally_operations")
    async with Database.open(settings) as operations, service_databases(settings, 2) as services:
        yield JobContext({**services, "tally_operations": operations}, _nothing_is_computed)


def job_named(jobs: tuple[Job, ...], name: str) -> Job:
    (job,) = [job for job in jobs if job.name == name]
    return job
