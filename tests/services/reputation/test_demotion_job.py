"""Levels that fell are written down, once, whether or not a process of the reputation service runs."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from libs.data.errors import Halted
from libs.jobs.job import JobContext
from services.reputation import jobs
from services.reputation.jobs import JOBS
from tests.eventually import becomes_true
from tests.services.operations.working import job_context, job_named
from tests.services.reputation.ledgers import Ledgers, ledgers_add_up
from tests.stored import Connection, everything, halt

DEMOTE = job_named(JOBS, "demote_users")
CHANGES = "SELECT count(*) FROM operations.events WHERE kind = 'user.trust_level_changed'"


@pytest.fixture
async def context(database_url: str) -> AsyncIterator[JobContext]:
    async with job_context(database_url) as context:
        yield context


async def falling(ledgers: Ledgers, db: Connection, ago: str) -> str:
    """A user who was exemplary and has 70.00, with a time of grace that ended so long ago."""
    user_id = await ledgers.register()
    await ledgers.record(user_id, impact="20.00")
    await ledgers.record(user_id, impact="-25.00")
    await db.execute(
        "UPDATE reputation.user_global_reputation SET demotion_time = now() - $2::text::interval WHERE user_id = $1::uuid",
        user_id,
        ago,
    )
    return user_id


async def level(db: Connection, user_id: str) -> tuple[object, ...]:
    row = await db.fetchrow(
        "SELECT trust_level, demotion_time IS NULL FROM reputation.user_global_reputation WHERE user_id = $1::uuid",
        user_id,
    )
    assert row is not None
    return tuple(row)


async def test_a_level_falls_when_its_time_is_over_and_not_before(
    ledgers: Ledgers, context: JobContext, db: Connection
) -> None:
    over, kept = await falling(ledgers, db, "1 second"), await falling(ledgers, db, "-1 hour")
    await DEMOTE.work(context, "")
    assert (await level(db, over), await level(db, kept)) == (("developing", True), ("exemplary", False))
    before = await everything(db)
    await DEMOTE.work(context, "")
    assert await everything(db) == before
    assert await db.fetchval(CHANGES) == 3, "two rises and a fall"
    await ledgers_add_up(db)


async def test_a_level_falls_once_where_two_workers_look_for_it(
    ledgers: Ledgers, context: JobContext, database_url: str, db: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "AT_ONCE", 3)
    users = [await falling(ledgers, db, "1 minute") for _ in range(10)]
    async with job_context(database_url) as another:
        await asyncio.gather(DEMOTE.work(context, ""), DEMOTE.work(another, ""))
    await DEMOTE.work(context, "")
    assert {await level(db, user_id) for user_id in users} == {("developing", True)}
    assert await db.fetchval(CHANGES) == 20


async def test_no_level_falls_while_writes_are_halted(ledgers: Ledgers, context: JobContext, db: Connection) -> None:
    """G8."""
    await falling(ledgers, db, "1 minute")
    await halt(db)
    before = await everything(db)
    with pytest.raises(Halted):
        await DEMOTE.work(context, "")
    assert await everything(db) == before


async def test_a_score_that_differs_from_its_ledger_is_reported(
    ledgers: Ledgers, context: JobContext, db: Connection
) -> None:
    """G2: it is not repaired: the ledger says what is right, and an operator what went wrong."""
    await job_named(JOBS, "reconcile_reputation").work(
        context, ""
    )  # the first round begins with what moves from now on
    await ledgers.record(await ledgers.register())
    await db.execute("UPDATE reputation.user_global_reputation SET overall_score = 90.00")

    async def reported() -> bool:
        await job_named(JOBS, "reconcile_reputation").work(context, "")
        found = await db.fetch("SELECT counter, counter_value, counted_value FROM operations.counter_discrepancies")
        return [tuple(row) for row in found] == [("reputation.score", 9000, 7600)]

    await becomes_true(reported)
    assert await db.fetchval("SELECT overall_score FROM reputation.user_global_reputation") == 90
