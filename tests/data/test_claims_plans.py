"""What Postgres does for each statement about food at size: 100,000 posts, 20,000 exchanges of one of them, 60,000 of others.

Pickup times are on the quarter-hour, as people say them, so that many posts share each (C5).
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import psycopg
import pytest
from psycopg import sql

from libs.data.catalog.claims import (
    EXCHANGES_COMPLETED,
    FOOD_POSTS,
    PORTIONS_CLAIMED,
    PORTIONS_HELD,
    PORTIONS_REMAINING,
)
from libs.data.counters import Counter
from libs.data.transaction import _lock_and_read_sql
from services.claims.exchanges import store, store_ratings, store_reads
from tests.data.plans import Plan, explained
from tests.postgres import scratch_database

HOT, SMALL = UUID(int=0x4000_8000 << 64), UUID(int=(0x4000_8000 << 64) + 7)
GROUP, GIVER, RECEIVER, NOBODY = (UUID(int=(place << 120) + 7) for place in (1, 2, 3, 4))
POSTS, PENDING, OVERDUE = 100_000, 10_000, 100
PAGE = 51

FILL = f"""
INSERT INTO claims.food_posts
    (food_post_id, title, group_id, sharing_mode, giver_id, portions, portions_remaining, portions_held, portions_claimed,
     pickup_time, created_at, closed_time)
SELECT ('00000000-4000-8000-0000-' || lpad(to_hex(n), 12, '0'))::uuid, 'Number ' || n,
       CASE WHEN n % 10 > 0 THEN ('01000000-0000-0000-0000-' || lpad(to_hex(n % 97), 12, '0'))::uuid END,
       CASE WHEN n % 997 = 7 THEN 'rare' WHEN n % 2 = 0 THEN 'neighborhood' ELSE 'community' END,
       ('02000000-0000-0000-0000-' || lpad(to_hex(n % 20000), 12, '0'))::uuid,
       CASE WHEN n = 0 THEN 30000 ELSE 5 END,
       CASE WHEN n = 0 THEN 10000 WHEN n % 7 = 0 THEN 0 ELSE 3 END,
       CASE WHEN n = 0 THEN {PENDING} ELSE 1 END,
       CASE WHEN n = 0 THEN 10000 WHEN n % 7 = 0 THEN 4 ELSE 1 END,
       date_trunc('hour', now()) + (n % 1000 - 100) * interval '15 minutes', now() - n * interval '1 second',
       CASE WHEN n % 11 = 5 THEN now() END
FROM generate_series(0, {POSTS - 1}) n;

INSERT INTO claims.exchanges
    (food_id, exchange_id, giver_id, receiver_id, portions, status, hold_expire_time, created_at, status_time)
SELECT food_post_id, gen_random_uuid(), giver_id,
       CASE WHEN n = 3 THEN '{RECEIVER}'::uuid ELSE gen_random_uuid() END, 1,
       CASE WHEN n <= portions_held THEN 'pending' WHEN n <= portions_held + portions_claimed THEN 'confirmed'
            ELSE 'expired' END,
       now() + CASE WHEN food_post_id = '{HOT}' AND n <= {OVERDUE} THEN interval '-1 minute' ELSE interval '1 hour' END,
       now(), now()
FROM (SELECT * FROM claims.food_posts ORDER BY food_post_id LIMIT 20000) p,
     generate_series(1, least(portions_held + portions_claimed + 1, 20000)) n;

INSERT INTO claims.exchange_steps (food_id, exchange_id, status, actor_id, request_id, commit_xid, step_time)
SELECT food_id, exchange_id, step, receiver_id, gen_random_uuid(), '1', now()
FROM claims.exchanges, unnest(CASE status WHEN 'pending' THEN ARRAY['pending'] ELSE ARRAY['pending', status] END) step;

INSERT INTO claims.ratings (food_id, exchange_id, rater_id, rated_id, stars, comment, request_id, created_at)
SELECT food_id, exchange_id, giver_id, receiver_id, 5, '', gen_random_uuid(), now()
FROM claims.exchanges WHERE status = 'confirmed'
"""


@pytest.fixture(scope="module")
def large_database_url(postgres_server: psycopg.Connection, postgres_url: str, template_database: str) -> Iterator[str]:
    with scratch_database(postgres_server, postgres_url, template_database) as url:
        with psycopg.connect(url, autocommit=True) as db:
            for statement in FILL.split(";\n"):
                db.execute(sql.SQL(statement))
            db.execute("VACUUM (ANALYZE)")
        yield url


each_way = pytest.mark.parametrize("generic", [False, True], ids=["planned", "cached"])

FIRST = (store_reads.NEVER, store_reads.NEVER, UUID(int=0), PAGE)
# Deep in the middle of a quarter of an hour.
DEEP = (
    datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=100),
    datetime.now(UTC) - timedelta(hours=14),
    UUID(int=0),
    PAGE,
)


def reads_a_page(plan: Plan, index: str, at_most: int) -> None:
    """In the order of the index, without a sort of what it has not put in order."""
    plan.uses(index)
    assert PAGE <= plan.rows_read <= at_most, plan.rows_read
    assert plan.rows_sorted == 0


@pytest.mark.parametrize("after", [FIRST, DEEP], ids=["first", "deep"])
@each_way
async def test_a_page_of_what_is_available_reads_little_more_than_a_page(
    large_database_url: str, after: tuple[object, ...], generic: bool
) -> None:
    """C5: what shares the pickup time of the last on a page, and of the last on the page before, is read with it."""
    plan = await explained(large_database_url, store_reads.AVAILABLE, *after, generic=generic)
    reads_a_page(plan, "idx_food_posts_active_location", PAGE + 3 * POSTS // 1000)


@pytest.mark.parametrize("after", [FIRST, DEEP], ids=["first", "deep"])
@each_way
async def test_a_page_of_what_a_group_is_offered_reads_a_page(
    large_database_url: str, after: tuple[object, ...], generic: bool
) -> None:
    """C5."""
    plan = await explained(large_database_url, store_reads.AVAILABLE_TO_GROUP, *after, GROUP, generic=generic)
    reads_a_page(plan, "idx_food_posts_discovery", PAGE + 10)


@pytest.mark.parametrize("after", [FIRST, DEEP], ids=["first", "deep"])
@each_way
async def test_a_page_of_what_is_shared_in_a_mode_reads_a_page(
    large_database_url: str, after: tuple[object, ...], generic: bool
) -> None:
    """C5."""
    plan = await explained(large_database_url, store_reads.AVAILABLE_IN_MODE, *after, "community", generic=generic)
    reads_a_page(plan, "food_posts_by_sharing_mode", PAGE + 10)


@each_way
async def test_a_mode_that_is_rare_is_found_as_fast(large_database_url: str, generic: bool) -> None:
    """C5: a hundred posts of a hundred thousand."""
    plan = await explained(large_database_url, store_reads.AVAILABLE_IN_MODE, *FIRST, "rare", generic=generic)
    plan.uses("food_posts_by_sharing_mode")
    assert 0 < plan.rows_read <= PAGE + 10


@each_way
async def test_a_group_and_a_mode_read_no_more_than_the_group(large_database_url: str, generic: bool) -> None:
    """C5."""
    asked = (*FIRST, GROUP, "community")
    plan = await explained(large_database_url, store_reads.AVAILABLE_TO_GROUP_IN_MODE, *asked, generic=generic)
    plan.uses("idx_food_posts_discovery")
    assert PAGE <= plan.rows_read <= 3 * PAGE
    assert plan.rows_sorted == 0


@each_way
async def test_a_post_an_exchange_and_a_rating_are_read_by_key(large_database_url: str, generic: bool) -> None:
    plan = await explained(large_database_url, store_reads.GET, HOT, generic=generic)
    plan.uses("food_posts_pkey")
    assert plan.rows_read == 1
    exchange_id, food_id, rater_id = await rated(large_database_url)
    plan = await explained(large_database_url, store_reads.GET_EXCHANGE, exchange_id, generic=generic)
    plan.uses("exchanges_exchange_id")
    assert plan.rows_read == 1
    plan = await explained(large_database_url, store.POSTS_OF, [exchange_id, NOBODY], generic=generic)
    plan.uses("exchanges_exchange_id")
    assert plan.rows_read == 1
    plan = await explained(large_database_url, store_ratings.FIND, food_id, exchange_id, rater_id, generic=generic)
    plan.uses("ratings_pkey")
    assert plan.rows_read == 1


async def rated(url: str) -> tuple[UUID, UUID, UUID]:
    connection = await asyncpg.connect(url)
    try:
        row = await connection.fetchrow("SELECT exchange_id, food_id, rater_id FROM claims.ratings LIMIT 1")
        assert row is not None
        return row[0], row[1], row[2]
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("field", "whose", "index", "rows"),
    [
        ("food_post_id", HOT, "exchanges_pkey", PAGE),
        ("food_post_id", SMALL, "exchanges_pkey", 6),
        ("giver_id", GIVER, "exchanges_by_giver", 6),
        ("receiver_id", RECEIVER, "exchanges_by_receiver", PAGE),
        ("receiver_id", NOBODY, "exchanges_by_receiver", 0),
    ],
)
@each_way
async def test_a_page_of_exchanges_reads_a_page_from_its_index(
    large_database_url: str, field: str, whose: UUID, index: str, rows: int, generic: bool
) -> None:
    asked = (whose, store_reads.AFTER_ALL, PAGE)
    plan = await explained(large_database_url, store_reads.LISTINGS[field], *asked, generic=generic)
    plan.uses(index)
    assert plan.rows_read == rows
    assert plan.rows_sorted == 0


@each_way
async def test_holds_that_are_over_are_found_among_many_that_are_not(large_database_url: str, generic: bool) -> None:
    plan = await explained(large_database_url, store_reads.OVERDUE, 50, 0.0, generic=generic)
    plan.uses("exchanges_overdue")
    assert plan.rows_read == 50
    plan = await explained(large_database_url, store_reads.OVERDUE, 500, 0.0, generic=generic)
    plan.uses("exchanges_overdue")
    assert plan.rows_read == OVERDUE


LOOK_UP_INDEXES = {
    "exchanges_by_post_and_receiver",
    "exchanges_one_at_a_time",
    "exchanges_overdue_of_post",
    "exchanges_exchange_id",
    "exchanges_pkey",
    "exchange_steps_pkey",
}


async def test_a_claim_reads_its_users_exchanges_and_the_holds_that_are_over(large_database_url: str) -> None:
    """Not the ten thousand that are not: those would be read again for every claim of a post that many claim."""
    users = [UUID(int=n) for n in range(100)]
    exchange_id, food_id, _ = await rated(large_database_url)
    looked_up = ([HOT] * 100, users, [food_id], [exchange_id])
    plan = await explained(large_database_url, FOOD_POSTS.lock_sql, [HOT], generic=True)
    plan.uses("food_posts_pkey")
    assert plan.rows_read <= 2
    for statement, arguments in (
        (store.LOOK_UP, looked_up),
        (_lock_and_read_sql(FOOD_POSTS, store.LOOK_UP), ([HOT, food_id], *looked_up)),
    ):
        plan = await explained(large_database_url, statement, *arguments, generic=True)
        used = {name for kind, name in plan.scans if "Index" in kind}
        assert used - {"food_posts_pkey"} <= LOOK_UP_INDEXES, plan.scans
        assert not [scan for scan in plan.scans if scan[0] == "Seq Scan"], plan.scans
        # Each overdue hold: once in its index, once itself, once its step.
        assert plan.rows_read <= 3 * OVERDUE + 20, plan.rows_read


@pytest.mark.parametrize(
    "counter",
    [PORTIONS_REMAINING, PORTIONS_HELD, PORTIONS_CLAIMED, EXCHANGES_COMPLETED],
    ids=lambda counter: counter.name,
)
@each_way
async def test_verifying_a_small_post_does_not_see_the_large_one(
    large_database_url: str, counter: Counter, generic: bool
) -> None:
    plan = await explained(large_database_url, counter.verify_sql, SMALL, generic=generic)
    assert not [scan for scan in plan.scans if scan[0] == "Seq Scan"], plan.scans
    assert plan.rows_read <= 8
    plan = await explained(large_database_url, counter.read_sql, [SMALL, HOT], generic=generic)
    plan.uses("food_posts_pkey")
    assert plan.rows_read == 2
