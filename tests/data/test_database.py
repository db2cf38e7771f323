"""Writing and reading through `Database`: what is repeated, what is not, and what a caller is told."""

import asyncio
from uuid import uuid4

import pytest

from libs.data.consistency import Consistency
from libs.data.database import Database
from libs.data.errors import (
    DatabaseUnavailable,
    DeadlineExceeded,
    Internal,
    InvalidInput,
    NotFound,
    OutcomeUnknown,
    TallyError,
)
from libs.data.transaction import Snapshot, Transaction
from tests.data.databases import count_of, count_one, opened
from tests.data.rows import row_held, some_petitions, waiting_for_locks
from tests.stored import Connection, everything


async def test_a_write_that_met_a_deadlock_runs_again_and_commits_once(database: Database, db: Connection) -> None:
    """The deadlock is a real one, with a connection that locks in the opposite order."""
    first, second = await some_petitions(db, 2)
    touch = "UPDATE petition.petition_submissions SET version = version + 10 WHERE petition_id = $1"
    other_has_second, ours_has_first = asyncio.Event(), asyncio.Event()
    attempts = 0

    async def ours(tx: Transaction) -> None:
        nonlocal attempts
        attempts += 1
        await tx.execute("SET LOCAL deadlock_timeout = '20ms'")  # so that it is this one that Postgres picks
        await tx.execute(touch, first)
        ours_has_first.set()
        await other_has_second.wait()
        await tx.execute(touch, second)

    async def the_other() -> None:
        async with db.transaction():
            await db.execute("SET LOCAL deadlock_timeout = '10s'")
            await db.execute(touch, second)
            other_has_second.set()
            await ours_has_first.wait()
            await db.execute(touch, first)

    await asyncio.gather(database.write(ours), the_other())
    assert attempts == 2
    assert await db.fetchval("SELECT array_agg(DISTINCT version) FROM petition.petition_submissions") == [20]


RAISE = "DO $$ BEGIN RAISE EXCEPTION 'made up' USING ERRCODE = '{}'; END $$"


class Failing:
    """Work that stores a row and then fails with an SQLSTATE as often as it is told."""

    def __init__(self, state: str, times: int) -> None:
        self.state, self.times, self.runs = state, times, 0

    async def __call__(self, tx: Transaction) -> int:
        self.runs += 1
        await tx.execute("INSERT INTO operations.counter_repairs VALUES (DEFAULT, 'x', 'y', 1, 2)")
        if self.runs <= self.times:
            await tx.execute(RAISE.format(self.state))
        return self.runs


@pytest.mark.parametrize("state", ["40001", "40P01"])
async def test_a_serialization_failure_or_deadlock_is_repeated_and_stored_once(
    database: Database, db: Connection, state: str
) -> None:
    assert (await database.write(Failing(state, 2))).value == 3
    assert await db.fetchval("SELECT count(*) FROM operations.counter_repairs") == 1


async def test_a_write_that_fails_every_time_is_given_up_with_nothing_stored(database_url: str, db: Connection) -> None:
    work = Failing("40001", 99)
    async with opened(database_url, write_attempts=3) as database:
        with pytest.raises(DatabaseUnavailable, match="nothing was stored"):
            await database.write(work)
    assert work.runs == 3
    assert await db.fetchval("SELECT count(*) FROM operations.counter_repairs") == 0


@pytest.mark.parametrize(
    ("state", "answered"),
    [
        ("23505", Internal),  # unique violation
        ("23514", Internal),  # check violation
        ("42P01", Internal),  # no such table
        ("55P03", DatabaseUnavailable),  # lock not available
        ("57014", DeadlineExceeded),  # query cancelled
        ("53300", DatabaseUnavailable),  # too many connections
        ("25006", DatabaseUnavailable),  # read only: a primary that became a standby
    ],
)
async def test_no_other_failure_is_repeated_and_none_tells_what_the_driver_said(
    database: Database, db: Connection, state: str, answered: type[TallyError]
) -> None:
    work = Failing(state, 1)
    with pytest.raises(answered) as caught:
        await database.write(work)
    assert type(caught.value) is answered
    assert "made up" not in str(caught.value)
    assert work.runs == 1
    assert await db.fetchval("SELECT count(*) FROM operations.counter_repairs") == 0


@pytest.mark.parametrize("error", [NotFound("it is not there"), ValueError("a defect")], ids=["refusal", "defect"])
async def test_work_that_raises_leaves_nothing_behind_and_is_not_repeated(
    database: Database, db: Connection, error: Exception
) -> None:
    (petition_id,) = await some_petitions(db)
    before = await everything(db)
    runs = 0

    async def work(tx: Transaction) -> None:
        nonlocal runs
        runs += 1
        await count_one(tx, petition_id)
        await tx.execute("UPDATE petition.petition_submissions SET title = 'changed'")
        raise error

    with pytest.raises(type(error) if isinstance(error, TallyError) else Internal) as caught:
        await database.write(work)
    assert error in (caught.value, caught.value.__cause__)
    assert runs == 1
    assert await everything(db) == before


async def test_a_caller_that_is_cancelled_does_not_cancel_its_transaction(database: Database, db: Connection) -> None:
    """G1: others may share it."""
    (petition_id,) = await some_petitions(db)
    async with row_held(db, petition_id):
        caller = asyncio.create_task(database.write(lambda tx: count_one(tx, petition_id)))
        await waiting_for_locks(database, 1)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
    await database.drain()
    assert await count_of(db) == 1


async def test_leaving_the_database_waits_for_the_writes_in_flight(database_url: str, db: Connection) -> None:
    """G1."""
    (petition_id,) = await some_petitions(db)
    async with opened(database_url) as database, row_held(db, petition_id):
        caller = asyncio.create_task(database.write(lambda tx: count_one(tx, petition_id)))
        await waiting_for_locks(database, 1)
        caller.cancel()
    assert await count_of(db) == 1


async def test_a_commit_that_the_database_refuses_stored_nothing(database: Database, db: Connection) -> None:
    await db.execute("CREATE TABLE public.late (n integer UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    with pytest.raises(Internal):
        await database.write(lambda tx: tx.execute("INSERT INTO public.late VALUES (1), (1)"))
    assert await db.fetchval("SELECT count(*) FROM public.late") == 0


async def test_a_connection_lost_at_the_commit_leaves_the_outcome_unknown(database: Database, db: Connection) -> None:
    """G1: neither stored nor not stored is claimed, and nothing is repeated."""
    await db.execute("""
        CREATE TABLE public.late (n integer);
        CREATE FUNCTION public.die() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(5); RETURN NULL; END';
        CREATE CONSTRAINT TRIGGER dies_at_commit AFTER INSERT ON public.late
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.die();
    """)
    runs = 0

    async def work(tx: Transaction) -> None:
        nonlocal runs
        runs += 1
        await tx.execute("INSERT INTO public.late VALUES (1)")

    with pytest.raises(OutcomeUnknown):
        await database.write(work)
    assert runs == 1


async def test_a_read_cannot_write(database: Database, db: Connection) -> None:
    (petition_id,) = await some_petitions(db)
    delete = "DELETE FROM petition.petition_submissions WHERE petition_id = $1"
    with pytest.raises(TallyError):
        await database.read(lambda snapshot: snapshot.fetch(delete, petition_id))
    assert await count_of(db) == 0


async def test_all_statements_of_a_repeatable_read_see_one_moment(database: Database, db: Connection) -> None:
    (petition_id,) = await some_petitions(db)
    sql = "SELECT co_signer_count FROM petition.petition_submissions WHERE petition_id = $1"

    async def twice(snapshot: Snapshot) -> tuple[int, int]:
        first = await snapshot.fetchval(sql, petition_id)
        await database.write(lambda tx: count_one(tx, petition_id))
        return first, await snapshot.fetchval(sql, petition_id)

    assert await database.read(twice, repeatable=True) == (0, 0)
    assert await database.read(twice) == (1, 2)


async def test_whoever_wrote_reads_it_by_the_token(database: Database, db: Connection) -> None:
    (petition_id,) = await some_petitions(db)
    token = (await database.write(lambda tx: count_one(tx, petition_id))).token
    assert token is not None
    sql = "SELECT co_signer_count FROM petition.petition_submissions"
    read = await database.read(lambda snapshot: snapshot.fetchval(sql), Consistency(at_least=token))
    assert read == 1
    with pytest.raises(InvalidInput) as caught:
        await database.read(lambda snapshot: snapshot.fetchval(sql), Consistency(at_least="f" * 15))
    assert caught.value.reason == "UNKNOWN_COMMIT_TOKEN"


async def test_a_database_that_is_not_there_is_said_to_be_unavailable() -> None:
    async with opened("postgresql://postgres@127.0.0.1:1/tally") as database:
        for call in (
            database.ping(),
            database.read(lambda snapshot: snapshot.fetchval("SELECT 1")),
            database.write(lambda tx: tx.fetchval("SELECT 1")),
        ):
            with pytest.raises(DatabaseUnavailable):
                await call


async def test_a_database_of_that_name_that_is_not_there_is_unavailable_too(postgres_url: str) -> None:
    url = postgres_url.rpartition("/")[0] + f"/missing_{uuid4().hex}"
    async with opened(url) as database:
        with pytest.raises(DatabaseUnavailable):
            await database.ping()


async def test_a_database_that_answers_is_ready(database: Database) -> None:
    await database.ping()
