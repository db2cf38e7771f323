"""The jobs that compare counters of what was active lately with their rows."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from libs.data.catalog import COUNTERS
from libs.data.database import Database
from libs.data.errors import DatabaseUnavailable, Halted
from libs.jobs import reconciliation
from libs.jobs.job import Job, JobContext
from services.claims.jobs import JOBS as CLAIMS
from services.petition.jobs import JOBS as PETITION
from services.reputation.jobs import JOBS as REPUTATION
from services.voting.jobs import JOBS as VOTING
from tests.data.databases import opened
from tests.data.opinions import ONE, TWO, USERS, VOTE_COUNT, agree, differing, three_conversations
from tests.services.claims.coupons import coupon_service
from tests.services.operations.working import job_context, job_named
from tests.services.petition.people import Petitions
from tests.stored import Connection, counters_equal_rows, event_kinds, everything, halt, resume

PETITIONS = job_named(PETITION, "reconcile_petitions")
CONVERSATIONS = job_named(VOTING, "reconcile_conversations")
COUPONS = job_named(CLAIMS, "reconcile_claims")
LEDGERS = job_named(REPUTATION, "reconcile_reputation")
ALL = pytest.mark.parametrize("job", [PETITIONS, CONVERSATIONS, COUPONS, LEDGERS], ids=lambda job: job.name)

BREAK = "UPDATE petition.petition_submissions SET co_signer_count = co_signer_count + $2 WHERE petition_id = $1"
SETTLED = "SELECT coalesce(max(xid) < pg_snapshot_xmin(pg_current_snapshot()), true) FROM operations.events"


@pytest.fixture
async def context(database_url: str) -> AsyncIterator[JobContext]:
    async with job_context(database_url) as context:
        yield context


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with opened(database_url) as database:
        yield database


async def settled(db: Connection) -> None:
    """Waits for every transaction of the server that is older than what was written, because readers of events do."""
    async with asyncio.timeout(30):
        while not await db.fetchval(SETTLED):  # noqa: ASYNC110  # nobody is told
            await asyncio.sleep(0.01)


async def a_round(job: Job, context: JobContext, db: Connection) -> list[tuple[str, str]]:
    """Counter and resource of each discrepancy logged."""
    await settled(db)
    with capture_logs() as logs:
        await job.work(context, "")
    return [(log["counter"], log["resource_id"]) for log in logs if log["event"] == "counter_discrepancy"]


async def told(db: Connection, petition_id: str) -> int:
    return (await event_kinds(db, petition_id)).count("petition.counter_discrepancy")


async def test_a_discrepancy_in_an_active_petition_is_told_once_and_left_to_an_operator(
    context: JobContext, petitions: Petitions, db: Connection
) -> None:
    petition_id = (await petitions.create()).petition_id
    assert await a_round(PETITIONS, context, db) == []  # from here on it knows what is active
    await petitions.sign(petition_id)
    assert await a_round(PETITIONS, context, db) == []
    await db.execute(BREAK, petition_id, 1)
    for _ in range(3):
        await petitions.sign(petition_id)
        assert await a_round(PETITIONS, context, db) == [("petition.co_signers", petition_id)]
    assert await told(db, petition_id) == 1
    assert await petitions.count(petition_id) == 5, "four have signed"
    assert await a_round(PETITIONS, context, db) == [], "nobody signed since, and a report is no activity"


async def test_a_petition_that_nobody_touched_is_not_compared(
    context: JobContext, petitions: Petitions, db: Connection
) -> None:
    petition_id = (await petitions.create()).petition_id
    await petitions.sign(petition_id)
    await a_round(PETITIONS, context, db)
    await db.execute(BREAK, petition_id, 1)
    assert await a_round(PETITIONS, context, db) == []


async def test_drift_of_an_active_conversation_is_repaired_and_that_of_others_waits(
    context: JobContext, database: Database, db: Connection
) -> None:
    """G2."""
    opinions = await three_conversations(database, db)
    await a_round(CONVERSATIONS, context, db)
    await db.execute(VOTE_COUNT, [ONE, TWO])
    await db.execute("UPDATE voting.opinions SET agree_count = 9 WHERE opinion_id = $1", opinions[ONE][0])
    await db.execute("DELETE FROM voting.participants WHERE conversation_id = $1 AND user_id = $2", ONE, USERS[0])
    await database.write(partial(agree, conversation_id=ONE, user_id=uuid4(), opinion_ids=opinions[ONE]))
    found = await a_round(CONVERSATIONS, context, db)
    assert {name for name, _ in found} == {
        "voting.votes",
        "voting.opinion_agrees",
        "voting.participant_votes",
        "voting.participant_visible_votes",
    }
    assert await differing(database, ONE) == set()
    assert await db.fetchval("SELECT count(*) FROM operations.counter_repairs") == len(found) == 4
    assert {name for name, *_ in await differing(database, TWO)} == {"voting.votes"}
    assert await a_round(CONVERSATIONS, context, db) == [], "a repair is activity, and leaves nothing to repair"


async def test_discrepancies_of_coupons_are_told_by_their_names(
    context: JobContext, database_url: str, db: Connection
) -> None:
    await a_round(COUPONS, context, db)
    async with coupon_service(database_url) as coupons:
        name = await coupons.create(3)
        await coupons.claim(name)
    await db.execute("UPDATE claims.coupons SET remaining_amount = 3, claim_count = 0")
    assert sorted(await a_round(COUPONS, context, db)) == [
        ("claims.coupon_claims", name),
        ("claims.coupon_remaining", name),
    ]
    rows = await db.fetch("SELECT counter, resource_id FROM operations.counter_discrepancies ORDER BY 1")
    assert [tuple(row) for row in rows] == [("claims.coupon_claims", name), ("claims.coupon_remaining", name)]


async def test_a_round_that_is_halted_is_made_up_for_after_the_resume(
    context: JobContext, petitions: Petitions, db: Connection
) -> None:
    """G8."""
    await a_round(PETITIONS, context, db)
    petition_id = (await petitions.create()).petition_id
    await petitions.sign(petition_id)
    await db.execute(BREAK, petition_id, 1)
    await halt(db)
    before = await everything(db)
    with pytest.raises(Halted):
        await a_round(PETITIONS, context, db)
    assert await everything(db) == before
    await resume(db)
    await a_round(PETITIONS, context, db)
    assert await told(db, petition_id) == 1


async def test_rounds_of_two_workers_and_of_one_that_died_lose_and_double_nothing(
    context: JobContext, petitions: Petitions, database_url: str, db: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_round(PETITIONS, context, db)
    petition_id = (await petitions.create()).petition_id
    await petitions.sign(petition_id)
    await db.execute(BREAK, petition_id, 1)

    async def died(*_: object, **__: object) -> None:
        raise DatabaseUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(reconciliation, "end", died)
        with pytest.raises(DatabaseUnavailable):
            await a_round(PETITIONS, context, db)
    other_id = (await petitions.create()).petition_id
    await petitions.sign(other_id)
    await db.execute(BREAK, other_id, 1)
    async with job_context(database_url) as another:
        await settled(db)
        await asyncio.gather(*(PETITIONS.work(each, "") for each in (context, another)))
        assert [await told(db, each) for each in (petition_id, other_id)] == [1, 1]
        await petitions.sign(petition_id)
        await a_round(PETITIONS, another, db)
    assert await told(db, petition_id) == 1


async def test_a_round_takes_no_more_aggregates_than_it_can_and_drops_the_rest(
    context: JobContext, petitions: Petitions, db: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciliation, "MOST_AGGREGATES", 2)
    await a_round(PETITIONS, context, db)
    for _ in range(5):
        petition_id = (await petitions.create()).petition_id
        await petitions.sign(petition_id)
        await db.execute(BREAK, petition_id, 1)
    assert len(await a_round(PETITIONS, context, db)) == 2
    assert await a_round(PETITIONS, context, db) == []


@ALL
async def test_where_nothing_happened_a_round_writes_only_that_it_was_there(
    context: JobContext, db: Connection, job: Job
) -> None:
    before = await everything(db)
    for _ in range(2):
        assert await a_round(job, context, db) == []
    after = await everything(db)
    assert {table for table in after if after[table] != before[table]} == {"operations.reconciliation_rounds"}


def test_every_counter_that_counts_rows_belongs_to_a_job() -> None:
    """Each round compares all counters of its role."""
    jobs = {
        "tally_petition": PETITIONS,
        "tally_claims": COUPONS,
        "tally_voting": CONVERSATIONS,
        "tally_reputation": LEDGERS,
    }
    assert {counter.aggregate.role for counter in COUNTERS.values() if counter.counts} == set(jobs)
    assert all(job.every == 20.0 and job.follows is None for job in jobs.values())


async def test_signatures_while_rounds_are_made_are_no_discrepancies(
    context: JobContext, petitions: Petitions, db: Connection
) -> None:
    """G2."""
    petition_id = (await petitions.create()).petition_id
    await a_round(PETITIONS, context, db)
    signing = [asyncio.create_task(petitions.sign(petition_id)) for _ in range(100)]
    for _ in range(3):
        assert await a_round(PETITIONS, context, db) == []
    await asyncio.gather(*signing)
    await counters_equal_rows(db)
