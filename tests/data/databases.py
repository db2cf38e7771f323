"""Opening databases with other settings, with less time, and the smallest write there is."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from uuid import UUID

from libs.data.catalog.petition import CO_SIGNERS, PETITIONS
from libs.data.database import Database
from libs.data.deadlines import current_deadline
from libs.data.settings import DatabaseSettings
from libs.data.transaction import Transaction
from tests.stored import Connection


async def count_one(tx: Transaction, petition_id: UUID) -> None:
    await tx.lock(PETITIONS, [petition_id])
    tx.increment(CO_SIGNERS, {(petition_id,): 1})


async def count_of(db: Connection) -> int:
    return int(await db.fetchval("SELECT sum(co_signer_count) FROM petition.petition_submissions"))


@contextmanager
def deadline_in(seconds: float) -> Iterator[None]:
    token = current_deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        current_deadline.reset(token)


@asynccontextmanager
async def opened(url: str, **settings: object) -> AsyncIterator[Database]:
    async with Database.open(DatabaseSettings(database_url=url, **settings)) as database:  # type: ignore[arg-type]
        yield database
