"""Of one key one job runs and one waits, whatever is asked for."""

import asyncio

from libs.jobs.job import Job, JobContext
from tests.jobs.workshop import Workshop


class Gated:
    """Work that stays until it is let go on, and remembers what it did."""

    def __init__(self) -> None:
        self.begun = asyncio.Semaphore(0)
        self.gate = asyncio.Event()
        self.runs: list[str] = []
        self.at_once = self.most_at_once = 0

    async def work(self, context: JobContext, key: str) -> None:
        self.runs.append(key)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.begun.release()
        await self.gate.wait()
        self.at_once -= 1


async def test_asking_a_thousand_times_while_it_runs_has_it_run_once_more(workshop: Workshop) -> None:
    gated = Gated()
    async with workshop.working(Job("gated", gated.work)):
        await workshop.queue("gated", "a")
        await gated.begun.acquire()
        for _ in range(0, 1000, 50):
            await asyncio.gather(*(workshop.queue("gated", "a") for _ in range(50)))
        assert await workshop.states("gated") == {"doing": 1, "todo": 1}
        gated.gate.set()
        await workshop.become("gated", succeeded=2)
    assert gated.runs == ["a", "a"]
    assert gated.most_at_once == 1


async def test_asking_for_what_waits_adds_nothing(workshop: Workshop) -> None:
    assert await workshop.queue("gated", "a", "b") == 2
    assert await workshop.queue("gated", "b", "c") == 1
    assert await workshop.states("gated") == {"todo": 3}


async def test_of_different_keys_and_types_as_many_run_at_once_as_may(workshop: Workshop) -> None:
    gated = Gated()
    async with workshop.working(Job("gated", gated.work), Job("other", gated.work), concurrency=4):
        await workshop.queue("gated", "a", "b", "c")
        await workshop.queue("other", "a", "b", "c")
        for _ in range(4):
            await gated.begun.acquire()
        running = [(await workshop.states(name))["doing"] for name in ("gated", "other")]
        assert sum(running) == 4
        gated.gate.set()
        await workshop.become("gated", succeeded=3)
        await workshop.become("other", succeeded=3)
    assert gated.most_at_once == 4


async def test_a_job_does_not_begin_before_its_time(workshop: Workshop) -> None:
    gated = Gated()
    gated.gate.set()
    async with workshop.working(Job("later", gated.work), Job("now", gated.work)):
        await workshop.queue("later", "a", pause=3600.0)
        await workshop.queue("now", "b")
        await workshop.become("now", succeeded=1)
        assert await workshop.states("later") == {"todo": 1}
        await workshop.db.execute("UPDATE jobs.procrastinate_jobs SET scheduled_at = now() WHERE status = 'todo'")
        await workshop.become("later", succeeded=1)
    assert gated.runs == ["b", "a"]


async def test_a_thousand_jobs_are_done_once_each_by_four_workers(workshop: Workshop) -> None:
    done: list[str] = []

    async def work(context: JobContext, key: str) -> None:
        done.append(key)

    keys = [str(n) for n in range(1000)]
    assert await workshop.queue("many", *keys) == 1000
    job = Job("many", work)
    async with workshop.working(job), workshop.working(job), workshop.working(job), workshop.working(job):
        await workshop.become("many", within=60.0, succeeded=1000)
    assert sorted(done) == sorted(keys)


async def test_a_job_of_an_unknown_type_is_left_to_a_worker_that_knows_it(workshop: Workshop) -> None:
    gated = Gated()
    gated.gate.set()
    await workshop.queue("new", "a")
    await workshop.queue("old", "a")
    async with workshop.working(Job("old", gated.work)):
        await workshop.become("old", succeeded=1)
        assert await workshop.states("new") == {"todo": 1}
        async with workshop.working(Job("new", gated.work)):
            await workshop.become("new", succeeded=1)
