"""Events of the stream go into ledgers, each once, whoever takes them up and however often (G7)."""

import asyncio
import uuid

import asyncpg
import pytest
from structlog.testing import capture_logs

from libs.data.errors import Halted, Internal
from services.reputation.stream.consumer import Consumer
from services.reputation.stream.store import PARTITIONS
from tests.eventually import becomes_true
from tests.services.petition.people import new_uuid
from tests.services.reputation.ledgers import ledgers_add_up
from tests.services.reputation.stream.streams import (
    PARTITION_OF,
    a_passing,
    a_rating,
    all_taken_up,
    an_exchange,
    checkpoints,
    consumer,
    ledger,
    settled,
    tell,
)
from tests.stored import Connection, events_of, everything, halt, resume


async def test_users_become_known_by_what_they_did(reading: Consumer, db: Connection) -> None:
    giver, receiver = new_uuid(), new_uuid()
    await tell(db, an_exchange(giver_id=giver, receiver_id=receiver))
    assert await all_taken_up(reading) == 1
    assert await ledger(db, giver) == [("food_shared", 100, 7600)]
    assert await ledger(db, receiver) == [("food_claimed", 50, 7550)]
    users = await db.fetch("SELECT id::text, registered_at, sharing_mode, verification_level FROM reputation.users")
    assert {tuple(row) for row in users} == {(user, None, "neighborhood", "full") for user in (giver, receiver)}
    await ledgers_add_up(db)


async def test_a_users_event_tells_what_moved_of_that_user(reading: Consumer, db: Connection) -> None:
    """Of the fourteen counters that a transaction may move for one user or another."""
    giver, receiver = new_uuid(), new_uuid()
    await tell(db, an_exchange(giver_id=giver, receiver_id=receiver))
    await all_taken_up(reading)
    for user, score, total in ((giver, 7600, "food_shared"), (receiver, 7550, "food_claimed")):
        ((kind, payload), _) = await events_of(db, user)
        assert (kind, payload["counters"]) == (
            "user.counted",
            {
                "reputation.score": {user: score},
                "reputation.events": {user: 1},
                f"reputation.{total}": {user: 1},
                "reputation.exchanges_completed": {user: 1},
            },
        )


async def test_a_group_that_is_not_known_here_is_left_out(reading: Consumer, db: Connection) -> None:
    known, giver = uuid.uuid4(), new_uuid()
    await db.execute(
        "INSERT INTO reputation.community_groups (id, name, group_type) VALUES ($1, 'Here', 'neighborhood')", known
    )
    await tell(db, *(an_exchange(giver_id=giver, group_id=str(group)) for group in (known, uuid.uuid4())))
    await all_taken_up(reading)
    groups = await db.fetch("SELECT group_id FROM reputation.reputation_events WHERE user_id = $1", giver)
    assert {row[0] for row in groups} == {known, None}


async def test_an_event_says_where_it_comes_from(reading: Consumer, db: Connection) -> None:
    kind, exchange_id, payload = an_exchange("expired")
    (cursor,) = await tell(db, (kind, exchange_id, payload))
    await all_taken_up(reading)
    (row,) = await db.fetch("SELECT * FROM reputation.reputation_events")
    assert row["stream_id"] == f"{cursor.xid}-{cursor.position}"
    assert row["stream_partition"] == await db.fetchval("SELECT hashtextextended($1, 0) & 7", exchange_id)
    assert str(row["related_exchange_id"]) == exchange_id
    assert row["processed_at"] is not None


async def test_setting_checkpoints_back_repeats_nothing(reading: Consumer, db: Connection) -> None:
    """At least once delivered, exactly once in effect."""
    user = new_uuid()
    await tell(db, *(a_passing(submitter_id=user) for _ in range(3)), *(an_exchange() for _ in range(40)))
    assert await all_taken_up(reading) == 43
    tables = ("reputation.reputation_events", "reputation.user_global_reputation", "reputation.daily_impacts")
    before = {table: (await everything(db))[table] for table in tables}
    assert len(await ledger(db, user)) == 3
    await db.execute("UPDATE reputation.event_stream_checkpoints SET last_processed_id = '0-0'")
    assert await all_taken_up(reading) == 43
    assert {table: (await everything(db))[table] for table in tables} == before


async def test_checkpoints_that_are_gone_are_set_up_again(reading: Consumer, db: Connection) -> None:
    """By a consumer that runs, and nothing is repeated."""
    user = new_uuid()
    await tell(db, a_passing(submitter_id=user))
    assert await all_taken_up(reading) == 1
    await db.execute("DELETE FROM reputation.event_stream_checkpoints")
    assert await all_taken_up(reading) == 1
    assert reading.lag_seconds.keys() == set(PARTITIONS)
    assert len(await ledger(db, user)) == 1


async def test_two_consumers_share_the_partitions(database_url: str, db: Connection) -> None:
    users = [new_uuid() for _ in range(20)]
    news = [an_exchange(giver_id=users[n % 20], receiver_id=users[(n + 1) % 20]) for n in range(1500)]
    await tell(db, *news)
    async with consumer(database_url) as one, consumer(database_url) as other:
        taken = [0, 0]

        async def keep_on(which: int, reading: Consumer) -> None:
            while sum(taken) < len(news):
                taken[which] += await reading.round()

        async with asyncio.timeout(20.0):
            await asyncio.gather(keep_on(0, one), keep_on(1, other))
    assert sum(taken) == len(news), "each event was one consumer's"
    assert all(taken), taken
    assert await db.fetchval("SELECT count(*) FROM reputation.reputation_events") == 2 * len(news)
    await ledgers_add_up(db)


async def test_what_cannot_be_understood_is_passed_by_and_logged(reading: Consumer, db: Connection) -> None:
    """As events of earlier releases, which do not say which side was rated."""
    kind, exchange_id, payload = a_rating()
    del payload["rated_side"]
    (cursor,) = await tell(db, (kind, exchange_id, payload))
    with capture_logs() as logs:
        assert await all_taken_up(reading) == 1
    (skipped,) = [entry for entry in logs if entry["event"] == "stream_event_skipped"]
    assert (skipped["kind"], skipped["stream_id"]) == (kind, f"{cursor.xid}-{cursor.position}")
    assert await db.fetchval("SELECT count(*) FROM reputation.reputation_events") == 0
    assert await all_taken_up(reading) == 0


REFUSE = """
CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'refused'; END$$;
CREATE TRIGGER refuse BEFORE INSERT ON reputation.reputation_events
    FOR EACH ROW WHEN (NEW.event_type = 'petition_escalated') EXECUTE FUNCTION public.refuse();
"""


async def test_what_cannot_be_stored_holds_up_its_partition_alone_and_is_not_lost(
    reading: Consumer, db: Connection
) -> None:
    await db.execute(REFUSE)
    stuck, *others = a_passing(), *(an_exchange() for _ in range(40))
    partitions = {news[1]: await db.fetchval(PARTITION_OF, news[1]) for news in (stuck, *others)}
    elsewhere = [news for news in others if partitions[news[1]] != partitions[stuck[1]]]
    await tell(db, stuck, *others)
    for _ in range(3):
        with pytest.raises(Internal):
            await reading.round()
    done = await db.fetch("SELECT DISTINCT related_exchange_id::text FROM reputation.reputation_events")
    assert {row[0] for row in done} == {news[1] for news in elsewhere}
    await db.execute("DROP TRIGGER refuse ON reputation.reputation_events")
    assert await all_taken_up(reading) == 41 - len(elsewhere)
    assert len(await ledger(db, stuck[2]["submitter_id"])) == 1


async def test_nothing_is_taken_up_while_writes_are_halted_and_everything_is_afterwards(
    reading: Consumer, db: Connection
) -> None:
    """G8."""
    await reading.round()
    await tell(db, an_exchange(), an_exchange())
    await halt(db)
    before = await everything(db)
    for _ in range(2):
        with pytest.raises(Halted):
            await reading.round()
    assert await everything(db) == before
    await resume(db)
    assert await all_taken_up(reading) == 2


async def test_a_consumer_goes_on_by_itself_after_a_halt(reading: Consumer, db: Connection) -> None:
    await halt(db)
    await tell(db, an_exchange())
    task = asyncio.create_task(reading.run())
    try:
        await asyncio.sleep(0)
        await resume(db)

        async def taken_up() -> bool:
            return bool(await db.fetchval("SELECT count(*) = 2 FROM reputation.reputation_events"))

        await becomes_true(taken_up)
    finally:
        task.cancel()


async def test_what_an_open_transaction_may_still_precede_is_left_until_it_has_ended(
    reading: Consumer, database_url: str, db: Connection
) -> None:
    """Else its events, which come before, would be lost."""
    await reading.round()
    other = await asyncpg.connect(database_url)
    try:
        transaction = other.transaction()
        await transaction.start()
        (early,) = await tell(other, a_passing(), settle=False)
        (late,) = await tell(db, a_passing(), settle=False)
        assert early < late
        assert await all_taken_up(reading) == 0
        assert max(reading.lag_seconds.values()) < 60
        await transaction.commit()
        await settled(db)
        assert await all_taken_up(reading) == 2
    finally:
        await other.close()


async def test_a_stream_that_went_back_is_followed_from_its_end(reading: Consumer, db: Connection) -> None:
    """After a restore into another cluster."""
    await reading.round()
    await db.execute("UPDATE reputation.event_stream_checkpoints SET last_processed_id = '4000000000-1'")
    with capture_logs() as logs:
        await reading.round()
    assert [entry["event"] for entry in logs] == ["event_stream_went_back"]
    await tell(db, an_exchange())
    assert await all_taken_up(reading) == 1
    assert len(await checkpoints(db)) == 8
