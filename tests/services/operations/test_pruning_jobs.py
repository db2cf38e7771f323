"""The jobs that delete what is old."""

from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest
from tally.common.v1 import count_pb2

from libs.data.errors import Halted
from libs.jobs.job import Job, JobContext
from services.operations import jobs as pruning
from services.operations.jobs import jobs
from services.operations.settings import OperationsSettings
from tests.eventually import becomes_true
from tests.services.aggregator.counting import aggregator
from tests.services.operations.working import job_context, job_named
from tests.services.petition.people import Petitions
from tests.stored import Connection, everything, halt

ALL = jobs(OperationsSettings(operations_events_days=2, operations_jobs_days=1, operations_failed_jobs_days=10))
EVENTS, JOBS = job_named(ALL, "prune_events"), job_named(ALL, "prune_jobs")
INSERT_EVENTS = """
INSERT INTO operations.events (xid, position, kind, aggregate_id, version, payload, created_time)
SELECT n::text::xid8, 0, 'petition.counted', n::text, 1, '{}', now() - $3::interval FROM generate_series($1::int, $2::int) n
"""
LEFT = "SELECT array_agg(xid::text::int ORDER BY xid) FROM operations.events"
INSERT_JOB = """
INSERT INTO jobs.procrastinate_jobs (queue_name, task_name, status, args)
VALUES ('work', 'work', $1::text::jobs.procrastinate_job_status, '{}') RETURNING id
"""
HISTORY = """
INSERT INTO jobs.procrastinate_events (job_id, type, at)
VALUES ($1, 'deferred', now() - $2::interval - interval '5 days'), ($1, 'succeeded', now() - $2::interval)
"""


@pytest.fixture
async def context(database_url: str) -> AsyncIterator[JobContext]:
    async with job_context(database_url) as context:
        yield context


@pytest.fixture
async def read_up_to_here(db: Connection) -> None:
    """Every event was looked at for what it makes due."""
    await db.execute("UPDATE operations.job_cursor SET xid = pg_snapshot_xmin(pg_current_snapshot())")


async def insert_events(db: Connection, first: int, last: int, age: timedelta) -> None:
    await db.execute(INSERT_EVENTS, first, last, age)


async def a_job(db: Connection, status: str, age: timedelta) -> int:
    """A job that came to its state so long ago."""
    job_id: int = await db.fetchval(INSERT_JOB, status)
    await db.execute("DELETE FROM jobs.procrastinate_events WHERE job_id = $1", job_id)
    await db.execute(HISTORY, job_id, age)
    return job_id


async def jobs_left(db: Connection) -> list[int]:
    return [row[0] for row in await db.fetch("SELECT id FROM jobs.procrastinate_jobs ORDER BY id")]


@pytest.mark.usefixtures("read_up_to_here")
async def test_events_older_than_the_setting_are_deleted_and_no_others(context: JobContext, db: Connection) -> None:
    await insert_events(db, 1, 20, timedelta(days=2, minutes=1))
    await insert_events(db, 21, 25, timedelta(days=2, minutes=-1))
    for _ in range(2):
        await EVENTS.work(context, "")
        assert await db.fetchval(LEFT) == [21, 22, 23, 24, 25]


@pytest.mark.usefixtures("read_up_to_here")
async def test_a_run_deletes_so_many_at_a_time_and_leaves_what_is_more_to_the_next(
    context: JobContext, db: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "AT_ONCE", 4)
    monkeypatch.setattr(pruning, "MOST_BATCHES", 2)
    await insert_events(db, 1, 10, timedelta(days=3))
    before = await db.fetchval("SELECT count(*) FROM operations.events")
    await EVENTS.work(context, "")
    assert (before, await db.fetchval(LEFT)) == (10, [9, 10]), "the oldest go first"
    await EVENTS.work(context, "")
    assert await db.fetchval(LEFT) is None


async def test_an_event_that_was_not_looked_at_for_what_it_makes_due_is_kept(
    context: JobContext, db: Connection
) -> None:
    await insert_events(db, 1, 9, timedelta(days=30))
    await db.execute("UPDATE operations.job_cursor SET xid = '5'")
    await EVENTS.work(context, "")
    assert await db.fetchval(LEFT) == [5, 6, 7, 8, 9]


@pytest.mark.usefixtures("read_up_to_here")
async def test_an_event_above_the_oldest_transaction_at_work_is_kept(
    context: JobContext, database_url: str, db: Connection
) -> None:
    """A reader of the stream may not have come so far."""
    other = await asyncpg.connect(database_url)
    try:
        async with other.transaction():
            open_xid = await other.fetchval("SELECT pg_current_xact_id()::text::int")
            await insert_events(db, open_xid - 1, open_xid + 1, timedelta(days=30))
            await db.execute("UPDATE operations.job_cursor SET xid = '9000000000'")
            await EVENTS.work(context, "")
            left: list[int] = await db.fetchval(LEFT)
            assert left[-2:] == [open_xid, open_xid + 1]
    finally:
        await other.close()


@pytest.mark.usefixtures("read_up_to_here")
async def test_whatever_is_asked_for_events_of_the_last_hour_are_kept(context: JobContext, db: Connection) -> None:
    await insert_events(db, 1, 3, timedelta(minutes=61))
    await insert_events(db, 4, 6, timedelta(minutes=59))
    await db.execute("SET ROLE tally_operations")
    assert await db.fetchval("SELECT operations.prune_events('-1 year', 100)") == 3
    assert await db.fetchval(LEFT.replace("array_agg", "count").replace(" ORDER BY xid", "")) == 3


@pytest.mark.parametrize("role", ["tally_petition", "tally_voting", "tally_claims", "tally_aggregator"])
async def test_no_other_role_may_have_events_deleted(db: Connection, role: str) -> None:
    await db.execute(f"SET ROLE {role}")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await db.execute("SELECT operations.prune_events('1 day', 1)")


async def test_counts_are_served_and_followed_while_events_are_deleted(
    context: JobContext, petitions: Petitions, database_url: str, db: Connection
) -> None:
    petition_id = (await petitions.create()).petition_id
    async with aggregator(database_url) as counters:
        for n in range(1, 4):
            signed = await petitions.sign(petition_id)
            assert await counters.value(petition_id, count_pb2.Consistency(at_least=signed.commit_token)) == n
            await db.execute("UPDATE operations.events SET created_time = now() - interval '9 days'")

            async def all_are_deleted() -> bool:
                await db.execute("UPDATE operations.job_cursor SET xid = pg_snapshot_xmin(pg_current_snapshot())")
                await EVENTS.work(context, "")
                return bool(await db.fetchval("SELECT count(*) = 0 FROM operations.events"))

            # The horizon is the whole server's: other tests' transactions may hold it back.
            await becomes_true(all_are_deleted)


async def test_jobs_that_are_done_are_deleted_first_and_those_that_failed_are_kept_longer(
    context: JobContext, db: Connection
) -> None:
    ages = (timedelta(hours=23), timedelta(hours=25), timedelta(days=9), timedelta(days=11))
    made = {
        (status, age): await a_job(db, status, age)
        for status in ("succeeded", "cancelled", "aborted", "failed", "todo", "doing")
        for age in ages
    }
    gone = {(status, age) for status in ("succeeded", "cancelled", "aborted") for age in ages[1:]}
    gone.add(("failed", ages[3]))
    for _ in range(2):
        await JOBS.work(context, "")
        assert await jobs_left(db) == [job_id for name, job_id in made.items() if name not in gone]
    history = await db.fetchval("SELECT count(DISTINCT job_id) FROM jobs.procrastinate_events")
    assert history == len(made) - len(gone)


@pytest.mark.parametrize("job", [EVENTS, JOBS], ids=lambda job: job.name)
@pytest.mark.usefixtures("read_up_to_here")
async def test_nothing_is_deleted_while_writes_are_halted(context: JobContext, db: Connection, job: Job) -> None:
    """G8."""
    await insert_events(db, 1, 3, timedelta(days=30))
    await a_job(db, "succeeded", timedelta(days=30))
    await halt(db)
    before, jobs_before = await everything(db), await jobs_left(db)
    with pytest.raises(Halted):
        await job.work(context, "")
    assert (await everything(db), await jobs_left(db)) == (before, jobs_before)
