"""A counter in a column of decimals, and columns that follow from counters: moved, told, verified and repaired exactly."""

import json
from decimal import Decimal
from functools import partial
from uuid import UUID, uuid4

import pytest

from libs.data.catalog.reputation import EVENTS, SCORE, USERS
from libs.data.database import Database
from libs.data.errors import Internal
from libs.data.transaction import Transaction
from libs.data.verification import repair
from tests.stored import Connection, everything


async def some_users(db: Connection, *scores: str) -> list[UUID]:
    """Ids in ascending order."""
    users = sorted(uuid4() for _ in scores)
    for user_id, score in zip(users, scores, strict=True):
        await db.execute("INSERT INTO reputation.users (id) VALUES ($1)", user_id)
        await db.execute(
            "INSERT INTO reputation.user_global_reputation (user_id, overall_score) VALUES ($1, $2)",
            user_id,
            Decimal(score),
        )
    return users


async def test_a_scaled_counter_counts_the_hundredths_of_its_column(database: Database, db: Connection) -> None:
    users = await some_users(db, "75.00", "0.01")

    async def work(tx: Transaction) -> list[int]:
        locked = await tx.lock(USERS, users)
        tx.increment(SCORE, {(users[0],): -33, (users[1],): 7499})
        tx.increment(EVENTS, {(users[0],): 1})
        return [SCORE.value_in(locked.rows[user_id]) for user_id in users]

    assert (await database.write(work)).value == [7500, 1]
    stored = await db.fetch("SELECT overall_score, event_count FROM reputation.user_global_reputation ORDER BY user_id")
    assert [tuple(row) for row in stored] == [(Decimal("74.67"), 1), (Decimal("75.00"), 0)]
    events = await db.fetch("SELECT aggregate_id, payload FROM operations.events ORDER BY aggregate_id")
    told = {UUID(row[0]): json.loads(row[1])["counters"]["reputation.score"] for row in events}
    assert told == {users[0]: {str(users[0]): 7467}, users[1]: {str(users[1]): 7500}}


async def test_a_scaled_counter_is_read_and_ranked_in_its_own_units(database: Database, db: Connection) -> None:
    """The column itself is in the index of the ranking: no coarse image of it is kept."""
    users = await some_users(db, "12.34", "99.99", "75.00", "75.00", "0.00")
    read = await db.fetch(SCORE.read_sql, users)
    assert {row[0]: row["value"] for row in read} == dict(zip(users, (1234, 9999, 7500, 7500, 0), strict=True))
    ranked = await db.fetch(SCORE.top_sql, 4)
    assert [(row[0], row["value"]) for row in ranked] == [
        (users[1], 9999),
        (users[3], 7500),
        (users[2], 7500),
        (users[0], 1234),
    ]
    assert {row[0] for row in await db.fetch(SCORE.listed_sql, users)} == {*users}


async def test_a_score_that_differs_from_its_chain_is_found_and_set_right(database: Database, db: Connection) -> None:
    """G2: the chain says what is left of the 75.00 that everybody starts with."""
    good, bad = await some_users(db, "75.00", "75.00")
    for user_id in (good, bad):
        await db.execute(
            "INSERT INTO reputation.reputation_events (id, user_id, sequence, event_type, impact_score, counted_impact, "
            "previous_score, new_score, cap_day) VALUES (gen_random_uuid(), $1, 1, 'x', -2.5, -2.5, 75, 72.5, now())",
            user_id,
        )
    await db.execute("UPDATE reputation.user_global_reputation SET overall_score = 72.50 WHERE user_id = $1", good)
    for user_id, found in ((good, (7250, 7250)), (bad, (7500, 7250))):
        row = await db.fetchrow(SCORE.verify_sql, user_id)
        assert row is not None and tuple(row) == found
    survey = await db.fetch(SCORE.survey_sql)
    assert [(row[0], row["counter"], row["counted"]) for row in survey] == [(bad, 7500, 7250)]
    await database.write(partial(repair, counter=SCORE, key=(bad,)))
    stored = await db.fetch("SELECT overall_score FROM reputation.user_global_reputation")
    assert {row[0] for row in stored} == {Decimal("72.50")}


async def test_columns_are_written_in_the_statement_that_moves_the_counters(database: Database, db: Connection) -> None:
    users = await some_users(db, "75.00", "75.00", "75.00")

    async def work(tx: Transaction) -> None:
        await tx.lock(USERS, users)
        tx.increment(EVENTS, {(users[0],): 1})
        tx.write_columns(
            USERS,
            {
                users[0]: {"trust_level": "trusted", "peak_reputation": Decimal("80.01"), "demotion_time": None},
                users[1]: {"trust_level": "limited", "peak_reputation": Decimal("75.00"), "demotion_time": None},
            },
        )

    await database.write(work)
    stored = await db.fetch(
        "SELECT trust_level, peak_reputation, event_count, version FROM reputation.user_global_reputation ORDER BY user_id"
    )
    assert [tuple(row) for row in stored] == [
        ("trusted", Decimal("80.01"), 1, 1),
        ("limited", Decimal("75.00"), 0, 1),
        ("developing", Decimal("75.00"), 0, 0),
    ]


@pytest.mark.parametrize("mistake", ["without the lock", "twice", "different columns", "some of those that move"])
async def test_columns_cannot_be_written_wrongly(database: Database, db: Connection, mistake: str) -> None:
    one, other = await some_users(db, "75.00", "75.00")

    async def work(tx: Transaction) -> None:
        await tx.lock(USERS, [one] if mistake == "without the lock" else [one, other])
        values: dict[UUID, dict[str, object]] = {one: {"trust_level": "limited"}, other: {"trust_level": "limited"}}
        if mistake == "different columns":
            values[other] = {"reputation_trend": "rising"}
        if mistake == "some of those that move":
            del values[other]
            tx.increment(EVENTS, {(other,): 1})
        tx.write_columns(USERS, values)
        if mistake == "twice":
            tx.write_columns(USERS, values)

    before = await everything(db)
    with pytest.raises((Internal, KeyError)):
        await database.write(work)
    assert await everything(db) == before
