"""Nothing waits for ever: statements, locks, connections and callers all have their time."""

import asyncio
import time

import pytest

from libs.data.database import Database
from libs.data.errors import (
    DatabaseUnavailable,
    DeadlineExceeded,
    ResourceExhausted,
)
from libs.data.transaction import Snapshot, Transaction
from tests.data.databases import count_of, count_one, deadline_in, opened
from tests.data.rows import row_held, some_petitions, waiting_for_locks
from tests.stored import Connection


async def test_the_time_a_caller_has_left_is_the_statements_time_limit(database: Database) -> None:
    async def limit(tx: Transaction) -> str:
        return str(await tx.fetchval("SHOW statement_timeout"))

    with deadline_in(2.0):
        limited = (await database.write(limit)).value
    assert limited.endswith("ms") and 1000 < int(limited.removesuffix("ms")) <= 1950
    with deadline_in(60.0):
        assert (await database.write(limit)).value == "5s"
    assert (await database.write(limit)).value == "5s"


async def test_a_statement_that_outlasts_the_callers_deadline_is_cancelled_by_the_database(
    database: Database, db: Connection
) -> None:
    (petition_id,) = await some_petitions(db)
    began = time.monotonic()
    async with row_held(db, petition_id):
        with deadline_in(0.25), pytest.raises(DeadlineExceeded, match="nothing was stored"):
            await database.write(lambda tx: count_one(tx, petition_id))
        with deadline_in(0.25), pytest.raises(DeadlineExceeded):
            await database.read(lambda snapshot: snapshot.fetchval("SELECT pg_sleep(60)"))
    assert time.monotonic() - began < 5
    assert await count_of(db) == 0


@pytest.mark.parametrize("seconds", [-1.0, 0.0, 0.01])
async def test_a_caller_without_time_left_does_not_reach_the_database(database: Database, seconds: float) -> None:
    async def work(_: Snapshot) -> None:
        pytest.fail("ran")

    with deadline_in(seconds):
        with pytest.raises(DeadlineExceeded):
            await database.write(work)
        with pytest.raises(DeadlineExceeded):
            await database.read(work)


async def test_a_write_that_waits_for_a_connection_past_its_deadline_is_not_done_after_it(
    database_url: str, db: Connection
) -> None:
    (petition_id,) = await some_petitions(db)
    async with opened(database_url, write_pool_max=1) as database:
        async with row_held(db, petition_id):
            first = asyncio.create_task(database.write(lambda tx: count_one(tx, petition_id)))
            await waiting_for_locks(database, 1)
            with deadline_in(0.15):
                second = asyncio.create_task(database.write(lambda tx: count_one(tx, petition_id)))
                with pytest.raises(DeadlineExceeded):
                    await second
        await first
        await database.drain()
    assert await count_of(db) == 1


async def test_connections_that_died_while_idle_are_replaced_without_an_error(
    database: Database, db: Connection
) -> None:
    (petition_id,) = await some_petitions(db)
    (other,) = await some_petitions(db)

    async def use_many() -> None:
        for key in (petition_id, other):
            await asyncio.gather(*(database.write(lambda tx, key=key: count_one(tx, key)) for _ in range(8)))  # type: ignore[misc]
            await asyncio.gather(*(database.read(lambda snapshot: snapshot.fetchval("SELECT 1")) for _ in range(8)))

    for _ in range(3):
        await use_many()
        ours = "FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'tally'"
        assert await db.fetchval(f"SELECT count(pg_terminate_backend(pid)) {ours}") > 2
        async with asyncio.timeout(10):
            while await db.fetchval(f"SELECT count(*) {ours}"):  # noqa: ASYNC110  # nobody is told
                await asyncio.sleep(0.01)
    await use_many()
    assert await count_of(db) == 64


async def test_writers_waiting_for_a_row_keep_no_reader_waiting(database_url: str, db: Connection) -> None:
    """Readers have connections of their own, and read without locks."""
    (petition_id,) = await some_petitions(db)
    async with opened(database_url, write_pool_max=2, read_pool_max=2) as database:
        async with row_held(db, petition_id):
            writers = [asyncio.create_task(database.write(lambda tx: count_one(tx, petition_id))) for _ in range(10)]
            await waiting_for_locks(database, 2)
            sql = "SELECT co_signer_count FROM petition.petition_submissions WHERE petition_id = $1"
            reads = (database.read(lambda snapshot: snapshot.fetchval(sql, petition_id)) for _ in range(50))
            assert set(await asyncio.gather(*reads)) == {0}
            assert not any(writer.done() for writer in writers)
        await asyncio.gather(*writers)
    assert await count_of(db) == 10


async def test_a_pool_without_a_free_connection_refuses_and_says_when_to_come_back(
    database_url: str, db: Connection
) -> None:
    (petition_id,) = await some_petitions(db)
    async with (
        opened(database_url) as watcher,
        opened(database_url, write_pool_max=1, acquire_timeout=0.5) as database,
    ):
        async with row_held(db, petition_id):
            first = asyncio.create_task(database.write(lambda tx: count_one(tx, petition_id)))
            await waiting_for_locks(watcher, 1)
            with pytest.raises(ResourceExhausted) as caught:
                await database.write(lambda tx: count_one(tx, petition_id))
            assert caught.value.retry_after_seconds > 0
        await first
    assert await count_of(db) == 1


async def test_a_lock_that_is_not_got_in_time_is_given_up(database_url: str, db: Connection) -> None:
    (petition_id,) = await some_petitions(db)
    async with opened(database_url, lock_timeout=0.05) as database, row_held(db, petition_id):
        with pytest.raises(DatabaseUnavailable, match="nothing was stored"):
            await database.write(lambda tx: count_one(tx, petition_id))
    assert await count_of(db) == 0


async def test_every_connection_has_its_time_limits(database_url: str) -> None:
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "jit", "timezone")
    limits = {"statement_timeout": 4.0, "lock_timeout": 2.0, "idle_in_transaction_timeout": 8.0}

    async def shown(snapshot: Snapshot) -> tuple[str, ...]:
        return tuple([await snapshot.fetchval(f"SHOW {name}") for name in names])

    async with opened(database_url, **limits) as database:
        assert (await database.write(shown)).value == ("4s", "2s", "8s", "off", "UTC")
        assert await database.read(shown) == ("4s", "2s", "8s", "off", "UTC")


async def test_a_transaction_that_its_process_forgot_ends_by_itself(database_url: str, db: Connection) -> None:
    """Whatever a stuck process does, it holds a row no longer than `idle_in_transaction_timeout`."""
    (petition_id,) = await some_petitions(db)
    locked, stuck = asyncio.Event(), asyncio.Event()

    async def work(tx: Transaction) -> None:
        await count_one(tx, petition_id)
        locked.set()
        await stuck.wait()

    async with opened(database_url, idle_in_transaction_timeout=0.5) as database:
        forgotten = asyncio.create_task(database.write(work))
        await locked.wait()
        async with asyncio.timeout(10):
            await db.execute("SELECT FROM petition.petition_submissions FOR UPDATE")
        stuck.set()
        with pytest.raises(DatabaseUnavailable):
            await forgotten
    assert await count_of(db) == 0
