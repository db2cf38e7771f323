"""Runs that fail, take too long or are cut off: what becomes of their jobs."""

import asyncio
from datetime import datetime

import pytest

from libs.jobs.backoff import BackOff
from libs.jobs.job import Job, JobContext
from libs.jobs.running import judge
from tests.eventually import becomes_true
from tests.jobs.workshop import Workshop

BACK_OFF = BackOff(30.0, 600.0)


class Failing:
    """Work that fails a number of times."""

    def __init__(self, times: int) -> None:
        self.left = times
        self.runs = 0

    async def work(self, context: JobContext, key: str) -> None:
        self.runs += 1
        if self.left:
            self.left -= 1
            raise RuntimeError("not today")


async def test_what_failed_is_tried_again_until_it_succeeds(workshop: Workshop) -> None:
    failing = Failing(2)
    async with workshop.working(Job("failing", failing.work)):
        await workshop.queue("failing", "a")
        await workshop.become("failing", succeeded=1)
    assert failing.runs == 3
    assert await workshop.attempts("failing") == [3]


async def test_what_fails_as_often_as_it_may_is_kept_and_not_tried_again(workshop: Workshop) -> None:
    failing = Failing(99)
    async with workshop.working(Job("failing", failing.work, retries=2)):
        await workshop.queue("failing", "a")
        await workshop.become("failing", failed=1)
        await workshop.queue("failing", "b")
        await workshop.become("failing", failed=2)
    assert failing.runs == 6
    assert await workshop.attempts("failing") == [3, 3]


async def test_after_a_failure_the_next_run_waits_for_at_least_half_a_minute(workshop: Workshop) -> None:
    failing = Failing(1)
    async with workshop.working(Job("failing", failing.work), back_off_seconds=30.0, back_off_most_seconds=600.0):
        await workshop.queue("failing", "a")

        async def ended() -> bool:
            return await workshop.attempts("failing") == [1]

        await becomes_true(ended)
    scheduled: datetime
    scheduled, failed = await workshop.db.fetchrow(  # type: ignore[misc]
        "SELECT j.scheduled_at, max(e.at) FROM jobs.procrastinate_jobs j JOIN jobs.procrastinate_events e ON e.job_id = j.id"
        " WHERE e.type = 'deferred_for_retry' GROUP BY 1"
    )
    assert 29.9 < (scheduled - failed).total_seconds() < 60.1


async def test_what_was_asked_for_again_while_it_failed_takes_its_place_and_its_attempts(workshop: Workshop) -> None:
    begun, gate = asyncio.Event(), asyncio.Event()

    async def work(context: JobContext, key: str) -> None:
        begun.set()
        await gate.wait()
        raise RuntimeError

    async with workshop.working(Job("failing", work), back_off_seconds=600.0, back_off_most_seconds=600.0):
        await workshop.queue("failing", "a")
        await begun.wait()
        assert await workshop.queue("failing", "a") == 1
        gate.set()
        await workshop.become("failing", todo=1)
    assert await workshop.attempts("failing") == [1]
    assert await workshop.db.fetchval(
        "SELECT scheduled_at > now() + interval '9 minutes' FROM jobs.procrastinate_jobs"
    ), "what fails whenever it runs would run whenever it is asked for"


async def test_a_run_that_takes_too_long_is_ended_and_tried_again(workshop: Workshop) -> None:
    ended = asyncio.Event()
    runs = 0

    async def work(context: JobContext, key: str) -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

    async with workshop.working(Job("slow", work, timeout=0.1)):
        await workshop.queue("slow", "a")
        await asyncio.wait_for(ended.wait(), 10)
        await workshop.become("slow", succeeded=1)
    assert runs == 2


async def test_a_worker_that_stops_lets_jobs_end_that_run_and_begins_no_other(workshop: Workshop) -> None:
    begun, gate = asyncio.Event(), asyncio.Event()

    async def work(context: JobContext, key: str) -> None:
        begun.set()
        await gate.wait()

    async with workshop.working(Job("slow", work), concurrency=1) as worker:
        await workshop.queue("slow", "a")
        await workshop.queue("slow", "b")
        await begun.wait()
        draining = asyncio.create_task(worker.drain())
        await asyncio.sleep(0)
        gate.set()
        await draining
    assert await workshop.states("slow") == {"succeeded": 1, "todo": 1}


async def test_what_does_not_end_in_time_when_its_worker_stops_is_put_back_and_counts_for_nothing(
    workshop: Workshop,
) -> None:
    begun = asyncio.Event()

    async def work(context: JobContext, key: str) -> None:
        begun.set()
        await asyncio.Event().wait()

    async with workshop.working(Job("slow", work), drain_seconds=0.05) as worker:
        await workshop.queue("slow", "a")
        await begun.wait()
        await worker.drain()
    assert await workshop.states("slow") == {"todo": 1}
    assert await workshop.attempts("slow") == [0]


@pytest.mark.parametrize(("attempts", "outcome"), [(1, "retried"), (2, "retried"), (3, "failed")])
def test_a_job_of_two_retries_fails_for_good_with_its_third_attempt(attempts: int, outcome: str) -> None:
    async def work(context: JobContext, key: str) -> None: ...

    verdict = judge(Job("failing", work, retries=2), attempts, RuntimeError(), BACK_OFF)
    assert verdict.outcome == outcome
    assert (verdict.pause >= 30.0) == (outcome == "retried")
