"""A connection that breaks in the middle of a write: the caller learns what that means for the write."""

from collections.abc import AsyncIterator

import pytest

from libs.data.database import Database
from libs.data.errors import DatabaseUnavailable
from libs.data.settings import DatabaseSettings
from libs.data.transaction import Transaction


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database.open(DatabaseSettings(database_url=database_url, write_pool_max=2)) as database:
        yield database


async def cut(tx: Transaction) -> None:
    await tx.fetchval("SELECT pg_terminate_backend(pg_backend_pid())")


async def backend(tx: Transaction) -> int:
    return int(await tx.fetchval("SELECT pg_backend_pid()"))


async def test_a_connection_cut_within_a_transaction_means_that_nothing_was_stored(database: Database) -> None:
    with pytest.raises(DatabaseUnavailable):
        await database.write(cut)


async def test_a_write_finds_a_connection_after_all_of_them_were_cut_while_idle(database: Database) -> None:
    first = (await database.write(backend)).value
    await database.read(lambda snapshot: snapshot.fetchval("SELECT pg_terminate_backend($1, 5000)", first))
    assert (await database.write(backend)).value != first
