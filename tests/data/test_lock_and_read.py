"""Reading together with the lock: what is answered is what holds under the lock, whoever was first."""

import asyncio
from uuid import UUID, uuid4

import pytest

from libs.data.catalog.petition import CO_SIGNERS, ORDINALS, PETITIONS
from libs.data.database import Database
from libs.data.errors import Internal
from libs.data.transaction import Transaction
from tests.data.rows import row_held, some_petitions, waiting_for_locks
from tests.stored import Connection

SIGNERS = "SELECT petition_id, user_id FROM petition.co_signs WHERE petition_id = ANY($1::uuid[])"
SIGN = """
INSERT INTO petition.co_signs (petition_id, user_id, ordinal, co_signer_count, request_id, signed_time)
VALUES ($1, $2, $3, $3, $2, now())
"""


async def sign_after(tx: Transaction, petition_id: UUID, user_id: UUID) -> int:
    """Signs as number seen + 1, and answers how many signers were seen."""
    locked, rows = await tx.lock_and_read(PETITIONS, [petition_id], SIGNERS, [petition_id])
    assert petition_id in locked
    tx.write_last(SIGN, petition_id, user_id, len(rows) + 1, rows=1)
    tx.increment(CO_SIGNERS, {(petition_id,): 1})
    tx.increment(ORDINALS, {(petition_id,): 1})
    return len(rows)


async def test_what_others_committed_while_the_lock_was_awaited_is_read(database: Database, db: Connection) -> None:
    (petition_id,) = await some_petitions(db)
    users = [uuid4() for _ in range(8)]

    async with row_held(db, petition_id):
        writes = [
            asyncio.create_task(database.write(lambda tx, user=user: sign_after(tx, petition_id, user)))  # type: ignore[misc]
            for user in users
        ]
        await waiting_for_locks(database, len(users))
    seen = [(await write).value for write in writes]

    assert sorted(seen) == list(range(8)), "somebody read the signers as they were before the lock"
    assert await db.fetchval("SELECT co_signer_count FROM petition.petition_submissions") == 8
    assert await db.fetchval("SELECT count(DISTINCT ordinal) FROM petition.co_signs") == 8


async def test_rows_of_several_aggregates_come_with_their_locks(database: Database, db: Connection) -> None:
    one, two, three = await some_petitions(db, 3)
    for petition_id, ordinal in ((one, 1), (one, 2), (three, 1)):
        await db.execute(SIGN, petition_id, uuid4(), ordinal)
    nowhere = uuid4()

    async def work(tx: Transaction) -> tuple[set[UUID], list[UUID]]:
        asked = [one, two, nowhere]
        locked, rows = await tx.lock_and_read(PETITIONS, asked, SIGNERS, asked)
        return set(locked), [row[0] for row in rows]

    assert (await database.write(work)).value == ({one, two}, [one, one])


async def test_a_statement_left_to_the_seal_must_touch_the_rows_it_said(database: Database, db: Connection) -> None:
    (petition_id,) = await some_petitions(db)

    async def work(tx: Transaction) -> None:
        await tx.lock(PETITIONS, [petition_id])
        tx.write_last("UPDATE petition.petition_submissions SET title = $1", "Renamed", rows=2)

    with pytest.raises(Internal):
        await database.write(work)
    assert await db.fetchval("SELECT title FROM petition.petition_submissions") == "Title"
