"""A worker that died, or is thought to have, and its jobs."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from libs.data.database import Database
from libs.data.settings import DatabaseSettings
from libs.jobs.job import Job, JobContext
from libs.jobs.settings import JobSettings
from tests.contract.sources import ROOT
from tests.eventually import becomes_true
from tests.jobs.test_keys import Gated
from tests.jobs.worker_process import DEADLY, SUPERUSER, TABLES
from tests.jobs.workshop import Workshop

AS_IN_PRODUCTION = JobSettings()
QUICK = JobSettings(heartbeat_seconds=0.2, stalled_seconds=1.0, poll_seconds=0.05)


@contextmanager
def another_worker(url: str, settings: JobSettings) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker in a process of its own; killed at the end, whatever it does."""
    command = [sys.executable, "-m", "tests.jobs.worker_process", url, settings.model_dump_json()]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(QUICK, id="with quick heartbeats"),
        pytest.param(AS_IN_PRODUCTION, id="as in production", marks=[pytest.mark.heavy, pytest.mark.timeout(180)]),
    ],
)
async def test_the_job_of_a_worker_killed_in_the_middle_of_it_runs_again_and_takes_effect_once(
    workshop: Workshop, database_url: str, settings: JobSettings
) -> None:
    db = workshop.db
    await db.execute(TABLES)
    await workshop.queue("deadly", "a")

    async def begun() -> bool:
        return bool(await db.fetchval("SELECT count(*) FROM public.begun"))

    async with Database.open(DatabaseSettings(database_url=database_url)) as superuser:
        with another_worker(database_url, settings) as process:
            await becomes_true(begun, 30)
            process.kill()
            await asyncio.to_thread(process.wait)
        killed = time.monotonic()
        assert await workshop.states("deadly") == {"doing": 1}
        context = JobContext({SUPERUSER: superuser}, asyncio.to_thread)
        async with workshop.working(DEADLY, context=context, **settings.model_dump()):
            await workshop.become("deadly", within=60.0, succeeded=1)
        assert time.monotonic() - killed < 60.0
    assert await db.fetchval("SELECT count(*) FROM public.begun") == 2
    assert await db.fetchval("SELECT count(*) FROM public.effects") == 1
    assert await workshop.attempts("deadly") == [2]


async def test_a_worker_that_was_only_slow_does_not_end_the_run_of_its_successor(workshop: Workshop) -> None:
    slow, successor = Gated(), Gated()
    async with workshop.working(Job("gated", slow.work)):
        await workshop.queue("gated", "a")
        await slow.begun.acquire()
        await workshop.db.execute("DELETE FROM jobs.procrastinate_workers")  # as if it had given no sign of life
        async with workshop.working(Job("gated", successor.work)):
            await successor.begun.acquire()
            slow.gate.set()

            async def slow_has_ended() -> bool:
                return not slow.at_once

            await becomes_true(slow_has_ended)
            assert await workshop.states("gated") == {"doing": 1}
            successor.gate.set()
            await workshop.become("gated", succeeded=1)
    assert await workshop.attempts("gated") == [2]


async def test_a_job_that_workers_died_of_as_often_as_it_may_be_tried_is_put_aside(workshop: Workshop) -> None:
    async def work(context: JobContext, key: str) -> None:
        raise AssertionError("it is not tried again")

    await workshop.queue("deadly", "a")
    await workshop.db.execute("UPDATE jobs.procrastinate_jobs SET status = 'doing', attempts = 2")
    async with workshop.working(Job("deadly", work, retries=2)):
        await workshop.become("deadly", failed=1)
    assert await workshop.attempts("deadly") == [3]


async def test_of_a_dead_worker_s_job_that_was_asked_for_again_one_is_left(workshop: Workshop) -> None:
    gated = Gated()
    gated.gate.set()
    await workshop.queue("gated", "a")
    await workshop.db.execute("UPDATE jobs.procrastinate_jobs SET status = 'doing'")
    assert await workshop.queue("gated", "a") == 1
    async with workshop.working(Job("gated", gated.work)):
        await workshop.become("gated", succeeded=1)
    assert gated.runs == ["a"]


async def test_a_worker_outlives_a_queue_that_is_away_and_ends_what_it_had_begun(workshop: Workshop) -> None:
    gated = Gated()
    async with workshop.working(Job("gated", gated.work)):
        await workshop.queue("gated", "a")
        await gated.begun.acquire()
        await workshop.db.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'tally-jobs' AND datname = current_database()"
        )
        gated.gate.set()
        await workshop.become("gated", succeeded=1)
        await workshop.queue("gated", "b")
        await workshop.become("gated", within=20.0, succeeded=2)
    assert gated.runs == ["a", "b"]
