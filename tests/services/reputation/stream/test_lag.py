"""How late the stream is taken up is measured and kept, and nobody deletes what was not (G7)."""

from datetime import timedelta
from functools import partial

from libs.data.database import Database
from libs.data.settings import DatabaseSettings
from services.operations.store_upkeep import prune_events
from services.reputation.stream import store
from services.reputation.stream.consumer import Consumer
from tests.services.petition.people import new_uuid
from tests.services.reputation.stream.streams import a_passing, all_taken_up, an_exchange, checkpoints, settled, tell
from tests.stored import Connection

LATE = 90.0
OF_USER = """
SELECT stream_lag_seconds, reputation_sync_status, last_stream_event_id FROM reputation.user_global_reputation
WHERE user_id = $1
"""
AGE = "UPDATE operations.events SET created_time = now() - interval '9 days'"
REST = "UPDATE reputation.event_stream_checkpoints SET processed_at = processed_at - interval '11 seconds'"
LEFT = "SELECT count(*) FROM operations.events WHERE kind LIKE 'exchange.%'"


async def test_how_late_an_event_is_taken_up_is_told_of_its_partition_and_of_its_user(
    reading: Consumer, db: Connection
) -> None:
    punctual, late = new_uuid(), new_uuid()
    (cursor,) = await tell(db, a_passing(submitter_id=late), age=LATE)
    await reading.round()
    assert LATE <= sorted(reading.lag_seconds.values())[-1] < LATE + 30
    assert LATE - 1 <= max(lag for _, lag in (await checkpoints(db)).values()) < LATE + 30
    ((lag, status, last),) = await db.fetch(OF_USER, late)
    assert (LATE - 1 <= lag < LATE + 30, status) == (True, "lagging")
    assert last == f"{cursor.xid}-{cursor.position}"

    await tell(db, a_passing(submitter_id=punctual), a_passing(submitter_id=late))
    await all_taken_up(reading)
    assert max(reading.lag_seconds.values()) < 30
    assert max(lag for _, lag in (await checkpoints(db)).values()) < 30, "what is over is not told for ever"
    for user in (punctual, late):
        ((lag, status, _),) = await db.fetch(OF_USER, user)
        assert (lag < 30, status) == (True, "synced")


async def test_lag_grows_while_nothing_is_heard_of_the_stream(reading: Consumer) -> None:
    await reading.round()
    before = reading.lag_seconds
    after = reading.lag_seconds
    assert before.keys() == set(store.PARTITIONS)
    assert all(after[n] > before[n] for n in before)


async def test_checkpoints_rest_while_nothing_comes_and_move_now_and_then(reading: Consumer, db: Connection) -> None:
    await reading.round()
    first = await checkpoints(db)
    await tell(db, ("petition.counted", new_uuid(), {}))
    await reading.round()
    assert await checkpoints(db) == first
    await db.execute(REST)
    await reading.round()
    assert all(first[name] != moved for name, moved in (await checkpoints(db)).items())


async def test_what_was_not_taken_up_is_not_pruned(reading: Consumer, database_url: str, db: Connection) -> None:
    await reading.round()
    await tell(db, *(an_exchange() for _ in range(30)))
    await tell(db, *(an_exchange() for _ in range(30)))
    await settled(db)
    await db.execute(AGE)
    await db.execute("UPDATE operations.job_cursor SET xid = pg_snapshot_xmin(pg_current_snapshot())")
    operations = DatabaseSettings(database_url=database_url, database_role="tally_operations")
    async with Database.open(operations) as database:
        prune = partial(prune_events, retention=timedelta(days=2), at_most=1_000)
        await database.write(prune)
        assert await db.fetchval(LEFT) == 60
        assert await all_taken_up(reading) == 60
        await db.execute(REST)
        await reading.round()
        await db.execute(AGE)
        await database.write(prune)
        assert await db.fetchval(LEFT) == 0
    assert await db.fetchval("SELECT count(*) FROM reputation.reputation_events") == 120
