"""Petitions put there by SQL, as rows to lock and to count on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from libs.data.database import Database
from tests.stored import Connection


async def some_petitions(db: Connection, n: int = 1) -> list[UUID]:
    """Ids in ascending order."""
    rows = await db.fetch(
        "INSERT INTO petition.petition_submissions "
        "(petition_id, title, body, petition_type, submitter_id, escalation_thresholds) "
        "SELECT gen_random_uuid(), 'Title', 'Body', 'local', gen_random_uuid(), '{}' FROM generate_series(1, $1) "
        "RETURNING petition_id",
        n,
    )
    return sorted(UUID(str(row[0])) for row in rows)


@asynccontextmanager
async def row_held(db: Connection, petition_id: UUID) -> AsyncIterator[None]:
    """While open, nobody else gets the row."""
    transaction = db.transaction()
    await transaction.start()
    await db.execute("SELECT FROM petition.petition_submissions WHERE petition_id = $1 FOR UPDATE", petition_id)
    try:
        yield
    finally:
        await transaction.rollback()


async def waiting_for_locks(database: Database, at_least: int) -> None:
    """Returns once this many connections of this database wait for a lock."""
    sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with asyncio.timeout(10):
        while await database.read(lambda snapshot: snapshot.fetchval(sql)) < at_least:  # noqa: ASYNC110  # nobody is told
            await asyncio.sleep(0.01)
