"""The summary of groups says what the literal query says, and is refreshed without keeping readers waiting (R6)."""

import asyncio
import random
from collections.abc import AsyncIterator

import asyncpg
import pytest

from libs.data.database import Database
from libs.data.settings import DatabaseSettings
from services.reputation.groups import store_activity
from tests.eventually import becomes_true
from tests.seeds import chosen_seed
from tests.stored import Connection

# As one would write it down: everything joined with everything, and told apart again by COUNT(DISTINCT). A rating is there once
# for each member, as often as any other, so the average is that of the ratings.
LITERAL = """
SELECT g.id AS group_id, g.name AS group_name, g.group_type,
       COUNT(DISTINCT m.user_id) FILTER (WHERE u.last_activity >= (now() AT TIME ZONE 'UTC') - interval '30 days')
           AS active_members,
       COUNT(DISTINCT p.food_post_id) FILTER (WHERE p.created_at >= now() - interval '30 days') AS food_posts_30d,
       AVG(r.stars) AS avg_rating,
       COUNT(DISTINCT e.exchange_id) FILTER (
           WHERE e.status = 'completed' AND e.status_time >= now() - interval '30 days') AS successful_exchanges_30d,
       MAX(p.created_at) AS last_food_post
FROM reputation.community_groups g
LEFT JOIN reputation.group_members m ON m.group_id = g.id AND m.left_time IS NULL
LEFT JOIN reputation.user_global_reputation u ON u.user_id = m.user_id
LEFT JOIN claims.food_posts p ON p.group_id = g.id
LEFT JOIN claims.exchanges e ON e.food_id = p.food_post_id
LEFT JOIN claims.ratings r ON r.food_id = e.food_id AND r.exchange_id = e.exchange_id
GROUP BY g.id, g.name, g.group_type
ORDER BY g.id
"""
COLUMNS = (
    "group_id",
    "group_name",
    "group_type",
    "active_members",
    "food_posts_30d",
    "avg_rating",
    "successful_exchanges_30d",
    "last_food_post",
)
SUMMARY = f"SELECT {', '.join(COLUMNS)} FROM reputation.group_activity_summary ORDER BY group_id"

# Random in what matters: who is active and who left, what is how old, which exchange came to what, who rated.
FILL = """
SELECT setseed($1);
INSERT INTO reputation.users (id) SELECT gen_random_uuid() FROM generate_series(1, 60);
INSERT INTO reputation.user_global_reputation (user_id, last_activity)
    SELECT id, (now() AT TIME ZONE 'UTC') - random() * interval '60 days' FROM reputation.users;
INSERT INTO reputation.community_groups (name, group_type)
    SELECT 'Group ' || n, (ARRAY['neighborhood', 'community'])[n % 2 + 1] FROM generate_series(1, 12) n;
INSERT INTO reputation.group_members (group_id, user_id, joined_time, left_time)
    SELECT g.id, u.id, now(), CASE WHEN random() < 0.3 THEN now() END
    FROM reputation.community_groups g, reputation.users u WHERE random() < 0.2;
INSERT INTO claims.food_posts (food_post_id, title, group_id, sharing_mode, giver_id, portions, portions_remaining,
                               portions_claimed, pickup_time, created_at)
    SELECT gen_random_uuid(), 'Soup', CASE WHEN random() < 0.9 THEN g.id END, 'community', gen_random_uuid(), 9, 9, 0, now(),
           now() - random() * interval '60 days'
    FROM (SELECT id FROM reputation.community_groups ORDER BY name LIMIT 10) g, generate_series(1, 6);
INSERT INTO claims.exchanges (food_id, exchange_id, giver_id, receiver_id, portions, status, hold_expire_time, created_at,
                              status_time)
    SELECT food_post_id, gen_random_uuid(), giver_id, gen_random_uuid(), 1,
           (ARRAY['completed', 'completed', 'cancelled', 'expired'])[1 + floor(random() * 4)::integer], now(), now(),
           now() - random() * interval '60 days'
    FROM claims.food_posts, generate_series(1, 5) WHERE random() < 0.6;
INSERT INTO claims.ratings (food_id, exchange_id, rater_id, rated_id, stars, comment, request_id, created_at)
    SELECT food_id, exchange_id, rater, gen_random_uuid(), 1 + floor(random() * 5)::integer, '', gen_random_uuid(), now()
    FROM claims.exchanges, unnest(ARRAY[giver_id, receiver_id]) rater WHERE status = 'completed' AND random() < 0.7
"""
REFRESH = "SELECT reputation.refresh_group_activity()"


@pytest.fixture
async def filled(db: Connection) -> Connection:
    seed = random.Random(chosen_seed()).uniform(-1, 1)
    for statement in FILL.split(";\n"):
        await db.execute(statement, *([seed] if "$1" in statement else []))
    return db


def rounded(rows: list[asyncpg.Record]) -> list[tuple[object, ...]]:
    """A division's digits depend on its operands, so averages are compared as far as anybody looks."""
    return [
        tuple(round(each, 6) if name == "avg_rating" and each else each for name, each in row.items()) for row in rows
    ]


async def test_the_summary_is_what_the_literal_query_says(filled: Connection) -> None:
    """R6: every column of every group, groups without members, posts or ratings included."""
    await filled.fetchval(REFRESH)
    summary, literal = await filled.fetch(SUMMARY), await filled.fetch(LITERAL)
    assert rounded(summary) == rounded(literal)
    assert tuple(summary[0].keys()) == COLUMNS
    assert any(row["avg_rating"] is None for row in summary) and any(row["avg_rating"] for row in summary)
    assert any(row["active_members"] != row["food_posts_30d"] > 0 for row in summary)


async def test_readers_read_on_while_the_summary_is_refreshed(filled: Connection, database_url: str) -> None:
    """R6: a refresh that is not committed yet keeps nobody waiting and shows nobody anything."""
    refreshing = filled.transaction()
    await refreshing.start()
    await filled.fetchval(REFRESH)
    reader = await asyncpg.connect(database_url)
    try:
        assert await asyncio.wait_for(reader.fetch(SUMMARY), 2.0) == []
        await refreshing.commit()
        assert len(await reader.fetch(SUMMARY)) == 12
    finally:
        await reader.close()


async def test_a_group_has_one_row_and_refreshing_depends_on_that(filled: Connection) -> None:
    """R6: a refresh that blocks nobody needs an index that tells rows apart."""
    unique = "SELECT indisunique AND indisvalid FROM pg_index WHERE indexrelid = $1::text::regclass"
    assert await filled.fetchval(unique, "reputation.group_activity_summary_group")
    await filled.execute("DROP INDEX reputation.group_activity_summary_group")
    with pytest.raises(asyncpg.ObjectNotInPrerequisiteStateError):
        await filled.fetchval(REFRESH)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    settings = DatabaseSettings(database_url=database_url, database_role="tally_reputation", lock_timeout=0.2)
    async with Database.open(settings) as opened:
        yield opened


WAITED = "SELECT bool_or(waitstart < clock_timestamp() - interval '0.4 seconds') FROM pg_locks WHERE NOT granted"


async def test_a_refresh_waits_for_another_longer_than_for_a_row(filled: Connection, database: Database) -> None:
    """With the rights of the service, and with what committed before it was asked for."""
    refreshing = filled.transaction()
    await refreshing.start()
    await filled.fetchval(REFRESH)
    waiting = asyncio.create_task(database.write(store_activity.refresh))
    await becomes_true(lambda: filled.fetchval(WAITED))
    assert not waiting.done()
    await refreshing.commit()
    refreshed = (await waiting).value
    assert refreshed == await filled.fetchval("SELECT refreshed_time FROM reputation.group_activity_refresh")
    assert len(await filled.fetch(SUMMARY)) == 12


async def test_a_refresh_reads_tables_whole_whatever_its_connection_forbids(filled: Connection) -> None:
    """Connections of services forbid plans for reading everything; a refresh needs them, and leaves no setting behind."""
    forbidden = ("enable_seqscan", "enable_hashjoin", "enable_mergejoin")
    for setting in forbidden:
        await filled.execute(f"SET {setting} = off")
    scanned = "SELECT coalesce(sum(seq_scan), 0) FROM pg_stat_xact_user_tables WHERE relname = 'food_posts'"
    async with filled.transaction():
        await filled.fetchval(REFRESH)
        assert await filled.fetchval(scanned) > 0
    assert {await filled.fetchval(f"SHOW {setting}") for setting in forbidden} == {"off"}


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("tally_claims", REFRESH),
        ("tally_operations", REFRESH),
        ("tally_claims", SUMMARY),
        ("tally_reputation", "REFRESH MATERIALIZED VIEW CONCURRENTLY reputation.group_activity_summary"),
        ("tally_reputation", "SELECT * FROM claims.food_posts"),
        ("tally_reputation", "UPDATE reputation.group_activity_refresh SET refreshed_time = now()"),
    ],
)
async def test_only_the_service_refreshes_and_only_by_the_function(db: Connection, role: str, statement: str) -> None:
    """Nor does it see what the summary is made of."""
    await db.execute(f"SET ROLE {role}")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await db.execute(statement)
