"""Which aggregates' counters moved lately."""

import asyncio
from functools import partial

import asyncpg
import pytest

from libs.data.activity import Activity, active_since
from libs.data.catalog.petition import PETITIONS
from libs.data.catalog.voting import CONVERSATIONS
from libs.data.database import Database
from libs.data.rounds import begin, end
from libs.data.tables import Table
from tests.data.databases import count_one
from tests.data.rows import some_petitions
from tests.shelves import SHELVES, stock_shelves, take
from tests.stored import Connection

TABLES = (PETITIONS, SHELVES)


@pytest.fixture(autouse=True)
async def shop(db: Connection) -> None:
    await stock_shelves(db, ["Apples", "Pears"])


async def settled(db: Connection) -> None:
    """Waits for the end of every transaction of the server that is older than what this test wrote."""
    past = "SELECT coalesce(max(xid) < pg_snapshot_xmin(pg_current_snapshot()), true) FROM operations.events"
    async with asyncio.timeout(30):
        while not await db.fetchval(past):  # noqa: ASYNC110  # nobody is told
            await asyncio.sleep(0.01)


async def active(database: Database, since: int, *tables: Table, most_events: int = 1000) -> Activity:
    work = partial(active_since, since=since, tables=tables or TABLES, most_events=most_events)
    return await database.read(work)


async def test_each_aggregate_whose_counters_moved_is_named_once_and_not_again(
    database: Database, db: Connection
) -> None:
    moved, _ = await some_petitions(db, 2)
    for _ in range(3):
        await database.write(lambda tx: count_one(tx, moved))
    await database.write(lambda tx: take(tx, ["Pears"]))
    await settled(db)
    found = await active(database, 0)
    assert found.aggregates == {PETITIONS: [moved], SHELVES: ["Pears"]}
    assert (await active(database, found.until)).aggregates == {PETITIONS: [], SHELVES: []}
    assert (await active(database, 0, CONVERSATIONS)).aggregates == {CONVERSATIONS: []}


async def test_what_commits_late_is_seen_by_the_next_look(
    database: Database, database_url: str, db: Connection
) -> None:
    """Its transaction id is smaller than those of others that committed before the look."""
    (petition,) = await some_petitions(db, 1)
    other = await asyncpg.connect(database_url)
    try:
        late = other.transaction()
        await late.start()
        await other.execute(
            "INSERT INTO operations.events (position, kind, aggregate_id, version, payload) "
            "VALUES (0, 'shelf.counted', 'Apples', 1, '{}')"
        )
        await database.write(lambda tx: count_one(tx, petition))
        first = await active(database, 0)
        assert first.aggregates[SHELVES] == []
        await late.commit()
    finally:
        await other.close()
    await settled(db)
    second = await active(database, first.until)
    assert second.aggregates[SHELVES] == ["Apples"]
    assert {*first.aggregates[PETITIONS], *second.aggregates[PETITIONS]} == {petition}


@pytest.mark.parametrize("most_events", [1, 2, 3])
async def test_looks_that_end_early_go_on_where_they_ended(
    database: Database, db: Connection, most_events: int
) -> None:
    petitions = await some_petitions(db, 5)
    for petition in petitions:
        await database.write(partial(count_one, petition_id=petition))
    await settled(db)
    seen, since = set(), 0
    while (found := await active(database, since, most_events=most_events)).until > since:
        assert len(found.aggregates[PETITIONS]) <= most_events
        seen |= {*found.aggregates[PETITIONS]}
        since = found.until
    assert seen == {*petitions}


async def test_a_round_begins_where_the_last_of_its_kind_ended(database: Database, db: Connection) -> None:
    (petition,) = await some_petitions(db, 1)
    first = await database.read(partial(begin, job_type="a"))
    await database.write(lambda tx: count_one(tx, petition))
    await settled(db)
    assert (await active(database, first)).aggregates[PETITIONS] == [petition]
    for until in (first + 7, first + 3):
        await database.write(partial(end, job_type="a", until=until))
        assert await database.read(partial(begin, job_type="a")) == until
    later = await database.read(partial(begin, job_type="b"))
    assert (await active(database, later)).aggregates[PETITIONS] == [], "before the first round nothing was active"
