"""A follower of the event stream: every event once, an honest age, and back by itself after an outage."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg
import pytest

from libs.data.database import Database
from libs.data.errors import DatabaseUnavailable
from libs.data.events import StoredEvent
from libs.data.follower import Follower
from libs.data.settings import DatabaseSettings
from libs.devstack.postgres import Cluster
from tests.eventually import becomes_true
from tests.stored import Connection

APPEND = """
INSERT INTO operations.events (position, kind, aggregate_id, version, payload) VALUES (0, 'test', $1, 0, '{}')
"""


class Heard:
    """What a follower told."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.resets = 0

    def apply(self, events: Sequence[StoredEvent]) -> None:
        self.names += [event.aggregate_id for event in events]

    def reset(self) -> None:
        self.resets += 1

    async def tells(self, follower: Follower, count: int) -> None:
        """Catches up until so many events were told; open transactions of other tests may hold the stream up."""

        async def told() -> bool:
            await follower.catch_up()
            return len(self.names) >= count

        await becomes_true(told)


@asynccontextmanager
async def following(database: Database, heard: Heard, pause: float = 0.05) -> AsyncIterator[Follower]:
    follower = Follower(database, heard.apply, heard.reset, fast=pause, slow=pause)
    running = asyncio.create_task(follower.run())
    try:
        yield follower
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
def heard() -> Heard:
    return Heard()


async def test_catching_up_tells_what_was_committed_before(database: Database, db: Connection, heard: Heard) -> None:
    async with following(database, heard, pause=60) as follower:
        await follower.started()
        for number in range(10):
            await db.execute(APPEND, str(number))
            await heard.tells(follower, number + 1)
    assert heard.names == [str(number) for number in range(10)]


async def test_those_who_wait_together_share_a_poll(database: Database, db: Connection, heard: Heard) -> None:
    polls = 0
    apply = heard.apply

    def counted(events: Sequence[StoredEvent]) -> None:
        nonlocal polls
        polls += 1
        apply(events)

    heard.apply = counted  # type: ignore[method-assign]
    async with following(database, heard, pause=60) as follower:
        await follower.started()
        await asyncio.gather(*(follower.catch_up() for _ in range(100)))
        assert 1 <= polls <= 2


async def test_the_watermark_is_the_moment_up_to_which_every_commit_is_known(
    database: Database, database_url: str, db: Connection, heard: Heard
) -> None:
    slow = await asyncpg.connect(database_url)
    try:
        async with following(database, heard) as follower:
            first = await follower.started()
            transaction = slow.transaction()
            await transaction.start()
            await slow.fetchval("SELECT pg_current_xact_id()")
            committed = await db.fetchval(
                "INSERT INTO operations.events (position, kind, aggregate_id, version, payload) "
                "VALUES (0, 'test', 'hidden', 0, '{}') RETURNING clock_timestamp()"
            )
            for _ in range(5):
                await follower.catch_up()
                assert follower.watermark is not None
                assert first.as_of_time <= follower.watermark.as_of_time <= committed
            assert heard.names == []
            age = follower.lag_seconds
            await asyncio.sleep(0.3)
            await follower.catch_up()
            assert follower.lag_seconds >= age + 0.25
            await transaction.commit()
            await heard.tells(follower, 1)
            assert heard.names == ["hidden"]

            async def is_newer() -> bool:
                await follower.catch_up()
                return (await follower.started()).as_of_time > committed and follower.lag_seconds < age

            await becomes_true(is_newer)
    finally:
        await slow.close()


async def test_polls_go_on_unasked_and_nothing_is_told_twice(database: Database, db: Connection, heard: Heard) -> None:
    async with following(database, heard) as follower:
        await follower.started()
        for number in range(20):
            await db.execute(APPEND, str(number))
            await asyncio.sleep(0.01)

        async def all_told() -> bool:
            return len(heard.names) >= 20

        await becomes_true(all_told)
    assert heard.names == [str(number) for number in range(20)]


async def test_a_page_that_cannot_be_applied_is_not_skipped(database: Database, db: Connection, heard: Heard) -> None:
    apply, failures = heard.apply, [True, True]

    def failing(events: Sequence[StoredEvent]) -> None:
        if events and failures:
            failures.pop()
            raise KeyError("a defect")
        apply(events)

    heard.apply = failing  # type: ignore[method-assign]
    async with following(database, heard) as follower:
        await follower.started()
        await db.execute(APPEND, "told")

        async def told() -> bool:
            return bool(heard.names)

        await becomes_true(told)
    assert heard.names == ["told"]


async def test_a_follower_outlives_the_database_and_misses_nothing(postgres_cluster: Cluster, heard: Heard) -> None:
    async def append(name: str) -> None:
        connection = await asyncpg.connect(postgres_cluster.url())
        await connection.execute(APPEND, name)
        await connection.close()

    async with (
        Database.open(DatabaseSettings(database_url=postgres_cluster.url())) as database,
        following(database, heard) as follower,
    ):

        async def unavailable() -> bool:
            try:
                await follower.catch_up()
            except DatabaseUnavailable:
                return True
            return False

        await follower.started()
        await append("before")
        await heard.tells(follower, 1)
        await asyncio.to_thread(postgres_cluster.kill9)
        # The backends outlive the postmaster for a moment.
        await becomes_true(unavailable)
        age = follower.lag_seconds
        await asyncio.sleep(0.2)
        assert follower.lag_seconds >= age + 0.2
        await asyncio.to_thread(postgres_cluster.start)
        await append("after")

        async def young_again() -> bool:
            return follower.lag_seconds < 0.2

        await becomes_true(young_again)
        await heard.tells(follower, 2)
    assert heard.names == ["before", "after"]
    assert heard.resets == 0


async def test_a_database_that_was_made_anew_is_started_over(
    database_url: str, database: Database, db: Connection, heard: Heard
) -> None:
    async with following(database, heard, pause=60) as follower:
        first = await follower.started()
        follower._cursor = follower._cursor._replace(xid=first.horizon + 1_000_000)  # type: ignore[union-attr]
        await follower.catch_up()
        assert heard.resets == 1
        again = await follower.started()
        assert again.horizon < first.horizon + 1000
        await db.execute(APPEND, "new")
        await heard.tells(follower, 1)
        assert heard.names == ["new"]
        assert time.monotonic() - again.begun < 10


async def test_a_follower_that_did_not_look_for_long_begins_anew(
    database: Database, db: Connection, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events may have been deleted meanwhile."""
    async with following(database, heard, pause=3600.0) as follower:
        await follower.started()
        await db.execute(APPEND, "missed")
        with monkeypatch.context() as patched:
            patched.setattr("libs.data.follower.LONGEST_SILENCE", timedelta(0))
            await follower.catch_up()
        assert (heard.resets, heard.names) == (1, [])
        await db.execute(APPEND, "told")

        async def told() -> bool:
            await follower.catch_up()
            return heard.names[-1:] == ["told"]

        await becomes_true(told)
        assert heard.resets == 1
