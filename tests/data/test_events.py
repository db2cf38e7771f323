"""The stream of committed events: none lost, none twice, whatever order transactions commit in (G7).

Other tests' open transactions, in other databases of the same server, hold the stream up too: so tests wait for events.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import asyncpg
import pytest

from libs.data.consistency import PRIMARY
from libs.data.database import Database
from libs.data.events import PAGE, Cursor, Page, read_page, start_cursor
from tests.eventually import becomes_true
from tests.stored import Connection

APPEND = """
INSERT INTO operations.events (position, kind, aggregate_id, version, payload) VALUES ($1, 'test', $2, 0, '{}')
"""


class Writer:
    """A transaction on a connection of its own, that gets its id first and commits when it is told to."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._transaction = connection.transaction()
        self.xid = 0

    async def begin(self) -> "Writer":
        await self._transaction.start()
        self.xid = await self._connection.fetchval("SELECT pg_current_xact_id()::text::bigint")
        return self

    async def append(self, *names: str) -> None:
        await self._connection.executemany(APPEND, list(enumerate(names)))

    async def commit(self) -> None:
        await self._transaction.commit()

    async def roll_back(self) -> None:
        await self._transaction.rollback()


class Reader:
    """Reads the stream on from where it was."""

    def __init__(self, database: Database, cursor: Cursor) -> None:
        self._database = database
        self.cursor = cursor

    async def page(self, limit: int = 5000) -> Page:
        page = await self._database.read(partial(read_page, cursor=self.cursor, limit=limit), PRIMARY)
        self.cursor = page.cursor
        return page

    async def names(self) -> list[str]:
        return [event.aggregate_id for event in (await self.page()).events]

    async def next(self, count: int) -> list[str]:
        """Reads on until there are so many events, or more; their names."""
        names: list[str] = []

        async def enough() -> bool:
            names.extend(await self.names())
            return len(names) >= count

        await becomes_true(enough)
        return names


@asynccontextmanager
async def writers(database_url: str, count: int) -> AsyncIterator[list[Writer]]:
    """Transactions with rising ids."""
    async with AsyncExitStack() as stack:
        begun = []
        for _ in range(count):
            connection = await asyncpg.connect(database_url)
            stack.push_async_callback(connection.close)
            begun.append(await Writer(connection).begin())
        yield begun


@pytest.fixture
async def reader(database: Database) -> Reader:
    return Reader(database, (await database.read(start_cursor, PRIMARY)).cursor)


async def test_a_smaller_id_that_commits_after_a_larger_one_is_delivered_in_one_poll(
    database_url: str, reader: Reader
) -> None:
    async with writers(database_url, 2) as (small, large):
        assert small.xid < large.xid
        await large.append("large")
        await large.commit()
        await small.append("small")
        await small.commit()
    assert await reader.next(2) == ["small", "large"]
    assert await reader.names() == []


async def test_a_smaller_id_that_commits_after_a_larger_one_is_delivered_in_two_polls(
    database_url: str, reader: Reader
) -> None:
    async with writers(database_url, 2) as (small, large):
        await small.append("small")
        await large.append("large")
        await large.commit()
        assert await reader.names() == [], "read past a transaction that can still commit"
        await small.commit()
        assert await reader.next(2) == ["small", "large"]
    assert await reader.names() == []


async def test_a_transaction_that_rolls_back_lets_the_others_through(database_url: str, reader: Reader) -> None:
    async with writers(database_url, 3) as (first, second, third):
        for number, writer in enumerate((first, second, third)):
            await writer.append(f"{number}")
        await third.commit()
        await first.commit()
        assert await reader.next(1) == ["0"]
        assert await reader.names() == []
        await second.roll_back()
        assert await reader.next(1) == ["2"]


async def test_a_slow_transaction_holds_the_horizon_but_not_what_lies_below_it(
    database_url: str, reader: Reader
) -> None:
    async with writers(database_url, 3) as (before, slow, after):
        await before.append("before")
        await before.commit()
        await after.append("after")
        await after.commit()
        assert await reader.next(1) == ["before"]
        page = await reader.page()
        assert page.events == []
        assert before.xid < page.horizon <= slow.xid
        assert page.ceiling > after.xid
        assert page.complete
        later = await reader.page()
        assert later.events == []
        assert later.as_of_time > page.as_of_time
        await slow.commit()
        assert await reader.next(1) == ["after"]


async def test_what_was_over_before_the_start_is_not_delivered_and_what_had_begun_is(
    database: Database, database_url: str
) -> None:
    async with writers(database_url, 2) as (done, open_):
        await done.append("done")
        await done.commit()
        await open_.append("open")

        async def is_over() -> bool:
            return (await database.read(start_cursor, PRIMARY)).horizon > done.xid

        await becomes_true(is_over)
        page = await database.read(start_cursor, PRIMARY)
        await open_.commit()
        assert await Reader(database, page.cursor).next(1) == ["open"]


async def test_pages_that_cut_a_transaction_in_two_deliver_each_event_once(database_url: str, reader: Reader) -> None:
    async with writers(database_url, 2) as (first, second):
        await first.append("a", "b", "c")
        await second.append("d", "e")
        await second.commit()
        await first.commit()
    pages: list[Page] = []

    async def all_read() -> bool:
        page = await reader.page(limit=2)
        if page.events:
            pages.append(page)
        return sum(len(page.events) for page in pages) == 5

    await becomes_true(all_read)
    assert [[event.aggregate_id for event in page.events] for page in pages] == [["a", "b"], ["c", "d"], ["e"]]
    assert [page.complete for page in pages] == [False, False, True]


async def test_a_reader_that_starts_again_at_its_stored_cursor_misses_nothing_and_repeats_nothing(
    database: Database, database_url: str, reader: Reader
) -> None:
    """Writers commit in whatever order chance has it; the reader forgets all but its cursor after each page."""
    chance = random.Random(3)
    written: list[str] = []
    read: list[str] = []
    writing = True

    async def write(number: int) -> None:
        connection = await asyncpg.connect(database_url)
        try:
            for turn in range(20):
                writer = await Writer(connection).begin()
                names = [f"{number}/{turn}/{place}" for place in range(chance.randrange(1, 4))]
                await writer.append(*names)
                await asyncio.sleep(chance.random() / 100)
                if chance.random() < 0.2:
                    await writer.roll_back()
                else:
                    await writer.commit()
                    written.extend(names)
        finally:
            await connection.close()

    async def read_on() -> None:
        cursor = reader.cursor
        while True:
            finished = not writing
            restarted = Reader(database, Cursor(*cursor))
            page = await restarted.page(limit=chance.choice([1, 3, 50]))
            read.extend(event.aggregate_id for event in page.events)
            cursor = restarted.cursor
            if finished and page.complete and len(read) >= len(written):
                return

    reading = asyncio.create_task(read_on())
    await asyncio.gather(*(write(number) for number in range(8)))
    writing = False
    await reading
    assert sorted(read) == sorted(written)
    assert len(set(read)) == len(read)


async def test_events_of_one_transaction_keep_their_order(database_url: str, reader: Reader) -> None:
    names = [str(number) for number in range(100)]
    async with writers(database_url, 1) as (writer,):
        await writer.append(*names)
        await writer.commit()
    assert await reader.next(100) == names


async def test_a_look_at_the_stream_uses_the_index(database: Database, db: Connection) -> None:
    await db.execute(
        "INSERT INTO operations.events (xid, position, kind, aggregate_id, version, payload) "
        "SELECT (n / 10)::text::xid8, n % 10, 'test', 'x', 0, '{}' FROM generate_series(1, 20000) AS n"
    )
    await db.execute("ANALYZE operations.events")
    plan = "\n".join(row[0] for row in await db.fetch(f"EXPLAIN {PAGE}", "1999", 5, 100))
    assert "Index Scan using events_pkey" in plan
    assert "Seq Scan on events" not in plan
