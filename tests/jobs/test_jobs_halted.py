"""While writes are halted jobs wait, and count nothing against those that met the halt."""

import asyncio

from libs.data.errors import Halted
from libs.data.transaction import Transaction
from libs.jobs.job import Job, JobContext
from tests.jobs.workshop import ROLE, Workshop
from tests.stored import halt, resume


async def write(tx: Transaction) -> None:
    await tx.execute("UPDATE operations.job_cursor SET position = position + 1")


async def test_no_job_begins_while_writes_are_halted_and_all_do_after_resume(workshop: Workshop) -> None:
    runs: list[str] = []

    async def work(context: JobContext, key: str) -> None:
        runs.append(key)

    await workshop.queue("writing", "a", "b")
    await halt(workshop.db)
    async with workshop.working(Job("writing", work)):
        await _looked_at_by_a_worker(workshop)
        assert await workshop.states("writing") == {"todo": 2}
        await resume(workshop.db)
        await workshop.become("writing", succeeded=2)
    assert sorted(runs) == ["a", "b"]


async def _looked_at_by_a_worker(workshop: Workshop) -> None:
    """Returns after the worker has looked for jobs some more times, which its signs of life say."""
    seen: set[object] = set()
    while len(seen) < 4:
        seen.add(await workshop.db.fetchval("SELECT max(last_heartbeat) FROM jobs.procrastinate_workers"))
        await asyncio.sleep(0.01)


async def test_a_job_that_meets_a_halt_is_put_back_and_done_after_resume(workshop: Workshop) -> None:
    begun, gate, refused = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work(context: JobContext, key: str) -> None:
        begun.set()
        await gate.wait()
        try:
            await context.database(ROLE).write(write)
        except Halted:
            refused.set()
            raise

    async with workshop.working(Job("writing", work, retries=0)):
        await workshop.queue("writing", "a")
        await begun.wait()
        await halt(workshop.db)
        gate.set()
        await asyncio.wait_for(refused.wait(), 10)
        await workshop.become("writing", todo=1)
        assert await workshop.attempts("writing") == [0]
        await resume(workshop.db)
        await workshop.become("writing", succeeded=1)
    assert await workshop.db.fetchval("SELECT position FROM operations.job_cursor") == 1
