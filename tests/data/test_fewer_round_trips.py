"""Reading with the lock and writing with the seal change how often the database is asked, not what holds."""

import asyncio
from uuid import UUID, uuid4

import pytest

from libs.data.catalog.petition import CO_SIGNERS, PETITIONS
from libs.data.database import Database
from libs.data.errors import Halted, Internal
from libs.data.events import Event
from libs.data.transaction import Transaction
from tests.data.rows import row_held, some_petitions, waiting_for_locks
from tests.stored import Connection, everything, halt

SIGNERS = "SELECT petition_id, user_id FROM petition.co_signs WHERE petition_id = ANY($1::uuid[])"
SIGN = """
INSERT INTO petition.co_signs (petition_id, user_id, ordinal, co_signer_count, request_id, signed_time)
SELECT $1, $2, $3, 1, gen_random_uuid(), now()
"""


async def test_what_is_read_with_the_lock_belongs_to_the_rows_that_were_locked(
    database: Database, db: Connection
) -> None:
    one, other, empty = await some_petitions(db, 3)
    for ordinal, petition_id in enumerate((one, one, other), start=1):
        await db.execute(SIGN, petition_id, uuid4(), ordinal)

    async def work(tx: Transaction) -> tuple[list[UUID], list[UUID]]:
        keys = [other, empty, one, uuid4()]
        locked, seen = await tx.lock_and_read(PETITIONS, keys, SIGNERS, [one, empty])
        return [UUID(str(key)) for key in locked], [UUID(str(row[0])) for row in seen]

    locked, seen = (await database.write(work)).value
    assert sorted(locked) == [one, other, empty]
    assert seen == [one, one]


async def test_what_is_read_with_the_lock_is_read_again_when_somebody_changed_it_meanwhile(
    database: Database, db: Connection
) -> None:
    """G2, G5: the statement's snapshot is older than its lock; who signed in between must be seen."""
    (petition_id,) = await some_petitions(db)
    signer = uuid4()

    async def work(tx: Transaction) -> tuple[int, list[UUID]]:
        locked, seen = await tx.lock_and_read(PETITIONS, [petition_id], SIGNERS, [petition_id])
        return locked.next_version(petition_id), [UUID(str(row[1])) for row in seen]

    holder = db.transaction()
    await holder.start()
    await db.execute(SIGN, petition_id, signer, 1)
    await db.execute("UPDATE petition.petition_submissions SET version = version + 1")
    waiting = asyncio.create_task(database.write(work))
    await waiting_for_locks(database, 1)
    await holder.commit()
    assert (await waiting).value == (2, [signer])


async def test_what_is_read_with_the_lock_is_read_once_when_the_other_gave_up(
    database: Database, db: Connection
) -> None:
    (petition_id,) = await some_petitions(db)

    async def work(tx: Transaction) -> int:
        return len((await tx.lock_and_read(PETITIONS, [petition_id], SIGNERS, [petition_id]))[1])

    async with row_held(db, petition_id):
        await db.execute(SIGN, petition_id, uuid4(), 1)
        waiting = asyncio.create_task(database.write(work))
        await waiting_for_locks(database, 1)
    assert (await waiting).value == 0


async def test_statements_left_to_the_seal_are_done_with_it_and_only_with_it(
    database: Database, db: Connection
) -> None:
    one, other = await some_petitions(db, 2)

    async def work(tx: Transaction, first: int = 1) -> int:
        await tx.lock(PETITIONS, [one, other])
        for ordinal, petition_id in enumerate((one, other), start=first):
            tx.write_last(SIGN, petition_id, uuid4(), ordinal, rows=1)
        tx.increment(CO_SIGNERS, {(one,): 1, (other,): 1})
        tx.emit([Event("petition.said", one, 1, {})])
        return int(await tx.fetchval("SELECT count(*) FROM petition.co_signs"))

    assert (await database.write(work)).value == 0
    rows = await db.fetch("SELECT petition_id, ordinal FROM petition.co_signs ORDER BY ordinal")
    assert [(UUID(str(row[0])), row[1]) for row in rows] == [(one, 1), (other, 2)]
    assert await db.fetchval("SELECT array_agg(co_signer_count) FROM petition.petition_submissions") == [1, 1]
    assert await db.fetchval("SELECT count(*) FROM operations.events") == 3
    await halt(db)
    before = await everything(db)
    with pytest.raises(Halted):
        await database.write(lambda tx: work(tx, first=3))
    assert await everything(db) == before


async def test_a_statement_left_to_the_seal_that_touches_other_than_its_rows_is_a_defect(
    database: Database, db: Connection
) -> None:
    """G2."""
    (petition_id,) = await some_petitions(db)
    before = await everything(db)

    async def work(tx: Transaction) -> None:
        await tx.lock(PETITIONS, [petition_id])
        tx.write_last(SIGN, petition_id, uuid4(), 1, rows=2)
        tx.increment(CO_SIGNERS, {(petition_id,): 2})

    with pytest.raises(Internal):
        await database.write(work)
    assert await everything(db) == before
