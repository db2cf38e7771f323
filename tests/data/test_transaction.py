"""What work can do in a transaction, and how a transaction ends: lock, increment, emit, seal."""

import asyncio
import json
from functools import partial
from uuid import UUID, uuid4

import pytest

from libs.data.catalog.petition import CO_SIGNERS, CO_SIGNERS_BY_REGION, ORDINALS, PETITIONS
from libs.data.database import Database
from libs.data.errors import Halted, Internal
from libs.data.events import Event
from libs.data.transaction import Transaction
from tests.data.rows import row_held, some_petitions, waiting_for_locks
from tests.stored import Connection, everything, halt


async def test_lock_answers_the_rows_that_exist_in_ascending_order_each_once(
    database: Database, db: Connection
) -> None:
    ids = await some_petitions(db, 5)

    async def work(tx: Transaction) -> list[UUID]:
        locked = await tx.lock(PETITIONS, [*reversed(ids), *ids, uuid4()])
        assert uuid4() not in locked and locked.get(uuid4()) is None
        assert all(locked[key]["locked_time"] is not None and locked.next_version(key) == 1 for key in locked)
        assert len(locked) == 5
        return list(locked)

    assert [UUID(str(key)) for key in (await database.write(work)).value] == ids


async def test_lock_of_no_keys_locks_nothing(database: Database) -> None:
    committed = await database.write(lambda tx: tx.lock(PETITIONS, []))
    assert (len(committed.value), committed.token) == (0, None)


async def test_transactions_that_want_the_same_rows_in_opposite_orders_never_deadlock(
    database: Database, db: Connection
) -> None:
    ids = await some_petitions(db, 20)

    async def work(keys: list[UUID], tx: Transaction) -> None:
        await tx.lock(PETITIONS, keys)
        tx.increment(CO_SIGNERS, {(key,): 1 for key in keys})

    await asyncio.gather(*(database.write(partial(work, keys)) for keys in [ids, ids[::-1]] * 20))
    assert await db.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0
    assert await db.fetchval("SELECT array_agg(DISTINCT co_signer_count) FROM petition.petition_submissions") == [40]


async def test_who_waited_for_a_lock_sees_what_was_done_under_it(database: Database, db: Connection) -> None:
    (petition_id,) = await some_petitions(db)

    async def work(tx: Transaction) -> tuple[int, bool]:
        row = (await tx.lock(PETITIONS, [petition_id]))[petition_id]
        now = await tx.fetchval("SELECT now()")
        return row["co_signer_count"], row["locked_time"] > now

    held = db.transaction()
    await held.start()
    await db.execute("UPDATE petition.petition_submissions SET co_signer_count = 7")
    waiting = asyncio.create_task(database.write(work))
    await waiting_for_locks(database, 1)
    await held.commit()
    assert (await waiting).value == (7, True)


async def test_a_table_locked_in_two_steps_is_a_defect(database: Database, db: Connection) -> None:
    ids = await some_petitions(db, 2)

    async def work(tx: Transaction) -> None:
        await tx.lock(PETITIONS, ids[1:])
        await tx.lock(PETITIONS, ids[:1])

    with pytest.raises(Internal) as caught:
        await database.write(work)
    assert "deadlock" in str(caught.value.__cause__)


@pytest.mark.parametrize("locked", [0, 1, 2])
async def test_a_counter_moved_without_its_rows_lock_is_a_defect_and_moves_nothing(
    database: Database, db: Connection, locked: int
) -> None:
    """G2."""
    ids = await some_petitions(db, 2)
    before = await everything(db)

    async def work(tx: Transaction) -> None:
        if locked:
            await tx.lock(PETITIONS, ids[:locked])
        tx.increment(CO_SIGNERS, {(ids[1],): 1})

    if locked == 2:
        await database.write(work)
    else:
        with pytest.raises(Internal):
            await database.write(work)
    assert (await everything(db) == before) == (locked < 2)


async def test_the_seal_moves_every_counter_once_and_tells_the_new_values_in_one_event_an_aggregate(
    database: Database, db: Connection
) -> None:
    """G2, G7: absolute values and a version, so that applying twice or late is harmless."""
    one, other, untouched = await some_petitions(db, 3)

    async def work(tx: Transaction) -> None:
        await tx.lock(PETITIONS, [one, other, untouched])
        tx.increment(CO_SIGNERS, {(one,): 2, (other,): 1, (untouched,): 0})
        tx.increment(CO_SIGNERS, {(one,): 3})
        tx.increment(ORDINALS, {(one,): 6})
        tx.increment(CO_SIGNERS_BY_REGION, {(one, "DE"): 4})
        tx.emit([Event("petition.said", one, 1, {"word": "hello"})])

    committed = await database.write(work)
    rows = await db.fetch(
        "SELECT petition_id, co_signer_count, last_ordinal, signature_rank, version FROM petition.petition_submissions"
    )
    assert {UUID(str(row[0])): tuple(row)[1:] for row in rows} == {
        one: (5, 6, 5, 1),
        other: (1, 0, 1, 1),
        untouched: (0, 0, 0, 0),
    }
    events = await db.fetch("SELECT * FROM operations.events ORDER BY position")
    assert [(e["position"], e["kind"], e["aggregate_id"], e["version"]) for e in events] == [
        (0, "petition.counted", str(one), 1),
        (1, "petition.counted", str(other), 1),
        (2, "petition.said", str(one), 1),
    ]
    assert json.loads(events[0]["payload"]) == {
        "counters": {
            "petition.co_signers": {str(one): 5},
            "petition.ordinals": {str(one): 6},
            "petition.region_co_signers": {f"{one}/DE": 4},
        }
    }
    assert {f"{int(str(e['xid'])):x}" for e in events} == {committed.token}
    await database.write(work)
    assert await db.fetchval("SELECT max(version) FROM operations.events WHERE kind = 'petition.counted'") == 2


async def test_a_transaction_that_writes_nothing_has_no_token_and_no_event(database: Database, db: Connection) -> None:
    assert (await database.write(lambda tx: tx.fetchval("SELECT 1"))).token is None
    assert await db.fetchval("SELECT count(*) FROM operations.events") == 0


async def test_a_breakdown_goes_up_and_down_with_its_counter(database: Database, db: Connection) -> None:
    (petition_id,) = await some_petitions(db)

    async def move(tx: Transaction, additions: dict[str, int]) -> None:
        await tx.lock(PETITIONS, [petition_id])
        tx.increment(CO_SIGNERS, {(petition_id,): sum(additions.values())})
        tx.increment(ORDINALS, {(petition_id,): 1})
        tx.increment(CO_SIGNERS_BY_REGION, {(petition_id, region): n for region, n in additions.items()})

    for additions in ({"DE": 3, "FR": 1}, {"DE": -1, "IT": 1}, {"DE": -2, "FR": -1, "IT": 0}):
        await database.write(lambda tx, additions=additions: move(tx, additions))  # type: ignore[misc]
    rows = await db.fetch("SELECT region_code, co_signer_count FROM petition.region_counts ORDER BY 1")
    assert [tuple(row) for row in rows] == [("DE", 0), ("FR", 0), ("IT", 1)]


@pytest.mark.parametrize("additions", [{"DE": -1}, {"FR": -1}], ids=["below zero", "a row that is not there"])
async def test_a_breakdown_that_would_fall_below_zero_is_a_defect_and_nothing_moves(
    database: Database, db: Connection, additions: dict[str, int]
) -> None:
    """G2."""
    (petition_id,) = await some_petitions(db)
    await db.execute("INSERT INTO petition.region_counts VALUES ($1, 'DE', 0)", petition_id)
    await db.execute("UPDATE petition.petition_submissions SET co_signer_count = 5")
    before = await everything(db)

    async def work(tx: Transaction) -> None:
        await tx.lock(PETITIONS, [petition_id])
        tx.increment(CO_SIGNERS, {(petition_id,): -1})
        tx.increment(CO_SIGNERS_BY_REGION, {(petition_id, region): n for region, n in additions.items()})

    with pytest.raises(Internal):
        await database.write(work)
    assert await everything(db) == before


async def test_a_counter_that_would_fall_below_zero_is_refused_by_the_database(
    database: Database, db: Connection
) -> None:
    """G2."""
    (petition_id,) = await some_petitions(db)

    async def work(tx: Transaction) -> None:
        await tx.lock(PETITIONS, [petition_id])
        tx.increment(CO_SIGNERS, {(petition_id,): -1})

    with pytest.raises(Internal):
        await database.write(work)
    assert await db.fetchval("SELECT co_signer_count FROM petition.petition_submissions") == 0


async def test_a_counters_row_that_vanished_is_a_defect_and_nothing_is_committed(
    database: Database, db: Connection
) -> None:
    """G2."""
    one, other = await some_petitions(db, 2)

    async def work(tx: Transaction) -> None:
        await tx.lock(PETITIONS, [one, other])
        await tx.execute("DELETE FROM petition.petition_submissions WHERE petition_id = $1", one)
        tx.increment(CO_SIGNERS, {(one,): 1, (other,): 1})

    before = await everything(db)
    with pytest.raises(Internal) as caught:
        await database.write(work)
    assert "1 rows changed where 2" in str(caught.value.__cause__)
    assert await everything(db) == before


async def count_one(tx: Transaction, petition_id: UUID) -> None:
    await tx.lock(PETITIONS, [petition_id])
    tx.increment(CO_SIGNERS, {(petition_id,): 1})


async def test_nothing_commits_while_writes_are_halted(database: Database, db: Connection) -> None:
    """G8."""
    (petition_id,) = await some_petitions(db)
    await halt(db)
    before = await everything(db)
    with pytest.raises(Halted):
        await database.write(lambda tx: count_one(tx, petition_id))
    assert await everything(db) == before
    await database.write(lambda tx: count_one(tx, petition_id), while_halted=True)
    assert await db.fetchval("SELECT co_signer_count FROM petition.petition_submissions") == 1


async def test_a_halt_that_came_while_a_write_waited_for_its_row_stops_the_write(
    database: Database, db: Connection, database_url: str
) -> None:
    """G8: the flag is read after the row was got, not when the transaction began."""
    (petition_id,) = await some_petitions(db)
    async with row_held(db, petition_id):
        write = asyncio.create_task(database.write(lambda tx: count_one(tx, petition_id)))
        await waiting_for_locks(database, 1)

        async def halt_now(tx: Transaction) -> None:
            await tx.execute("UPDATE operations.halt SET halted = true")

        await database.write(halt_now, while_halted=True)
    with pytest.raises(Halted):
        await write
    assert await db.fetchval("SELECT co_signer_count FROM petition.petition_submissions") == 0


async def test_a_database_without_its_halt_row_commits_nothing(database: Database, db: Connection) -> None:
    """G8: without the flag nobody knows whether writes are halted."""
    (petition_id,) = await some_petitions(db)
    await db.execute("DELETE FROM operations.halt")
    with pytest.raises(Internal):
        await database.write(lambda tx: count_one(tx, petition_id))
    assert await db.fetchval("SELECT co_signer_count FROM petition.petition_submissions") == 0
