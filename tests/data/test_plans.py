"""What Postgres does for each statement at size: 50,000 petitions, 200,000 signatures on one of them, 100,000 on others."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import psycopg
import pytest
from psycopg import sql

from libs.data.activity import MOVED
from libs.data.catalog.petition import CO_SIGNERS, CO_SIGNERS_BY_REGION, ORDINALS, PETITIONS
from libs.data.counters import aggregate_update_sql
from libs.data.events import PAGE
from libs.data.transaction import _lock_and_read_sql
from services.petition import store, store_petitions, store_reads
from tests.data.plans import explained
from tests.postgres import scratch_database

HOT = UUID("11111111-1111-4111-8111-111111111111")
SIGNERS, PETITION_COUNT = 200_000, 50_000

FILL = f"""
INSERT INTO petition.petition_submissions
    (petition_id, title, body, petition_type, submitter_id, escalation_thresholds, state,
     co_signer_count, last_ordinal, signature_rank)
SELECT CASE WHEN n = 0 THEN '{HOT}'::uuid ELSE gen_random_uuid() END, 'Number ' || n, repeat('Because. ', 10), 'local',
       gen_random_uuid(), '{{100,1000}}', CASE WHEN n % 50 = 1 THEN 'withdrawn' ELSE 'open' END,
       signers, signers, operations.rank_of(signers)
FROM (SELECT n, CASE WHEN n = 0 THEN {SIGNERS} WHEN n % 1000 = 0 THEN 1000 ELSE n % 3 END AS signers
      FROM generate_series(0, {PETITION_COUNT - 1}) n) petitions;

INSERT INTO petition.co_signs
    (petition_id, user_id, ordinal, co_signer_count, region_code, request_id, signed_time)
SELECT petition_id, gen_random_uuid(), n, n, CASE WHEN n % 3 = 1 THEN 'DE' END, gen_random_uuid(),
       now() + n * interval '1 millisecond'
FROM petition.petition_submissions, generate_series(1, co_signer_count) n;

INSERT INTO petition.region_counts
SELECT petition_id, region_code, count(*) FROM petition.co_signs WHERE region_code IS NOT NULL GROUP BY 1, 2;

INSERT INTO petition.removed_co_signs
    (petition_id, user_id, ordinal, co_signer_count, request_id, commit_xid, signed_time, removal, reason,
     removal_request_id, removal_count, removed_time)
SELECT petition_id, gen_random_uuid(), 1, 1, gen_random_uuid(), '1', now(), 'withdrawn', '', gen_random_uuid(), 0, now()
FROM (SELECT petition_id FROM petition.petition_submissions LIMIT 10000) p;

INSERT INTO petition.escalations
SELECT petition_id, n, 0, n, 'crossed', n, n, now()
FROM (SELECT petition_id FROM petition.petition_submissions LIMIT 10000) p, generate_series(1, 3) n;

INSERT INTO operations.events (xid, position, kind, aggregate_id, version, payload)
SELECT n::text::xid8, 0, 'petition.counted', '{HOT}', n, '{{}}' FROM generate_series(1, 20000) n;
"""


@pytest.fixture(scope="module")
def large_database_url(postgres_server: psycopg.Connection, postgres_url: str, template_database: str) -> Iterator[str]:
    with scratch_database(postgres_server, postgres_url, template_database) as url:
        with psycopg.connect(url, autocommit=True) as db:
            for statement in FILL.split(";\n"):
                db.execute(sql.SQL(statement))
            db.execute("VACUUM (ANALYZE)")
        yield url


KEY = "petition_submissions_pkey"


@pytest.mark.parametrize("generic", [False, True], ids=["planned", "cached"])
async def test_reading_a_count_reads_one_row_by_key(large_database_url: str, generic: bool) -> None:
    plan = await explained(large_database_url, store_reads.COUNT, HOT, generic=generic)
    plan.uses(KEY)
    assert plan.rows_read == 1


async def test_reading_a_count_by_region_reads_its_regions_only(large_database_url: str) -> None:
    plan = await explained(large_database_url, store_reads.COUNT_BY_REGION, HOT)
    plan.uses(KEY, "region_counts_pkey")
    assert plan.rows_read == 2


async def test_counters_are_read_by_key_however_many(large_database_url: str) -> None:
    async with asyncpg.create_pool(large_database_url, min_size=1, max_size=1) as pool:
        rows = await pool.fetch("SELECT petition_id FROM petition.petition_submissions LIMIT 100")
    keys = [row[0] for row in rows]
    plan = await explained(large_database_url, CO_SIGNERS.read_sql, keys)
    plan.uses(KEY)
    assert plan.rows_read == 100
    plan = await explained(large_database_url, CO_SIGNERS_BY_REGION.read_sql, [HOT], ["DE"])
    plan.uses(KEY, "region_counts_pkey")


@pytest.mark.parametrize("generic", [False, True], ids=["planned", "cached"])
async def test_verification_counts_a_petitions_rows_in_the_index_alone(large_database_url: str, generic: bool) -> None:
    plan = await explained(large_database_url, CO_SIGNERS.verify_sql, HOT, generic=generic)
    plan.uses(KEY, "idx_co_signs_petition_id")
    assert ("Index Only Scan", "idx_co_signs_petition_id") in plan.scans
    assert plan.heap_fetches < SIGNERS / 100, "VACUUM leaves out a page that somebody looks at, but not more"
    assert plan.rows_read == SIGNERS + 1


async def test_verification_of_a_small_petition_does_not_see_the_large_one(large_database_url: str) -> None:
    small = UUID(
        await read(
            large_database_url, "SELECT petition_id FROM petition.petition_submissions WHERE co_signer_count = 2"
        )
    )
    plan = await explained(large_database_url, CO_SIGNERS.verify_sql, small)
    assert not [scan for scan in plan.scans if scan[0] == "Seq Scan"]
    assert plan.rows_read == 3


async def read(url: str, sql: str) -> str:
    connection = await asyncpg.connect(url)
    try:
        return str(await connection.fetchval(sql))
    finally:
        await connection.close()


@pytest.mark.parametrize("generic", [False, True], ids=["planned", "cached"])
async def test_locking_and_looking_up_read_by_key(large_database_url: str, generic: bool) -> None:
    users = [UUID(int=n) for n in range(100)]
    plan = await explained(large_database_url, PETITIONS.lock_sql, [HOT], generic=generic)
    plan.uses(KEY)
    assert plan.rows_read <= 2
    plan = await explained(large_database_url, store.LOOK_UP, [HOT] * 100, users, generic=generic)
    plan.uses("co_signs_pkey", "removed_co_signs_pkey")
    assert plan.rows_read == 0
    both = _lock_and_read_sql(PETITIONS, store.LOOK_UP)
    plan = await explained(large_database_url, both, [HOT], [HOT] * 100, users, generic=generic)
    plan.uses(KEY, "co_signs_pkey", "removed_co_signs_pkey")
    assert plan.rows_read <= 4


async def test_a_page_of_the_newest_reads_a_page(large_database_url: str) -> None:
    plan = await explained(large_database_url, store_reads.NEWEST, store_reads.AFTER_ALL, 51)
    plan.uses("petition_submissions_newest")
    assert plan.rows_read == 51


@pytest.mark.parametrize("count", [store_reads.ABOVE_ALL, 1000, 200, 128, 127, 1, 0], ids=lambda count: f"from {count}")
async def test_a_page_of_the_most_signed_reads_little_more_than_a_page(large_database_url: str, count: int) -> None:
    """A coarse rank is read whole and sorted; below 128 the index itself has the order."""
    plan = await explained(large_database_url, store_reads.MOST_SIGNED, count, store_reads.AFTER_ALL, 51)
    plan.uses("petition_submissions_rank")
    assert plan.rows_read < 300, plan.rows_read


async def test_the_top_of_a_counter_is_read_from_its_rank_index(large_database_url: str) -> None:
    plan = await explained(large_database_url, CO_SIGNERS.top_sql, 10)
    plan.uses("petition_submissions_rank")
    assert plan.rows_read < 300, plan.rows_read


async def test_a_page_of_signers_is_read_in_order_from_its_index(large_database_url: str) -> None:
    plan = await explained(large_database_url, store_reads.CO_SIGNS, HOT, 150_000, 51)
    plan.uses("idx_co_signs_petition_id")
    assert plan.rows_read == 51


async def test_a_page_of_escalations_is_read_by_key(large_database_url: str) -> None:
    plan = await explained(large_database_url, store_reads.ESCALATIONS, HOT, -1, -1, 51)
    plan.uses("escalations_pkey")
    assert plan.rows_read <= 3


async def test_a_page_of_events_reads_a_page(large_database_url: str) -> None:
    plan = await explained(large_database_url, PAGE, "1", 0, 100)
    assert not [scan for scan in plan.scans if scan[0] == "Seq Scan"], plan.scans
    assert plan.rows_read == 100


async def test_looking_for_activity_reads_no_more_events_than_it_was_asked_for(large_database_url: str) -> None:
    plan = await explained(large_database_url, MOVED, "200", ["petition.counted"], 100)
    assert not [scan for scan in plan.scans if scan[0] == "Seq Scan"], plan.scans
    assert plan.rows_read == 100


async def test_invalidating_users_reads_their_signatures_only(large_database_url: str) -> None:
    users = [UUID(int=n) for n in range(100)]
    plan = await explained(
        large_database_url,
        store_petitions.INVALIDATE_USERS,
        *(HOT, 50_000, "bought", UUID(int=1), SIGNERS, datetime.now(UTC), users),
    )
    assert not [scan for scan in plan.scans if scan[0] == "Seq Scan"], plan.scans
    assert plan.rows_read < 300


async def test_invalidating_a_stretch_of_time_reads_little_more_than_that_stretch(large_database_url: str) -> None:
    """Signed by time is signed by place in the table: a block range index finds the place."""
    middle = f"SELECT signed_time FROM petition.co_signs WHERE petition_id = '{HOT}' AND ordinal = {SIGNERS // 2}"
    start = datetime.fromisoformat(await read(large_database_url, middle))
    window = (start, start + timedelta(milliseconds=100))
    plan = await explained(
        large_database_url,
        store_petitions.INVALIDATE_WINDOW,
        *(HOT, 50_000, "bought", UUID(int=1), SIGNERS, start, *window),
    )
    plan.uses("co_signs_signed_time", "co_signs_pkey")
    assert plan.rows_read < SIGNERS / 10
    plan = await explained(large_database_url, store_petitions.ANY_LEFT_OF_WINDOW, HOT, *window)
    plan.uses("co_signs_signed_time")
    assert plan.rows_read < SIGNERS / 10


async def hot_updates(url: str, start: int, updates: int) -> float:
    """Which share of so many signatures, one a transaction, left every index alone; from the count `start` on."""
    connection = await asyncpg.connect(url)
    share = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relid = 'petition.petition_submissions'::regclass"
    sql = aggregate_update_sql(PETITIONS, (ORDINALS, CO_SIGNERS))
    try:
        await connection.execute(
            "UPDATE petition.petition_submissions SET co_signer_count = $2::integer, "
            "signature_rank = operations.rank_of($2::integer) WHERE petition_id = $1",
            HOT,
            start,
        )
        await connection.execute("SELECT pg_stat_force_next_flush()")
        before = await connection.fetchrow(share)
        for _ in range(updates):
            await connection.execute(sql, [HOT], [1], [1])
        await connection.execute("SELECT pg_stat_force_next_flush()")
        after = await connection.fetchrow(share)
        assert before is not None and after is not None
        assert after[0] - before[0] == updates
        return float(after[1] - before[1]) / updates
    finally:
        await connection.close()


async def test_counting_leaves_every_index_alone_on_a_large_petition(large_database_url: str) -> None:
    """Heap-only updates: from 99,500 on, a rank holds 1,024 counts, and 1,000 signatures change it once.

    A few more go to another page where an autovacuum is looking at this one.
    """
    assert await hot_updates(large_database_url, 99_500, 1000) >= 0.95


async def test_a_change_of_rank_is_the_only_update_an_index_sees(large_database_url: str) -> None:
    """From 1,000 to 1,500, a rank holds 8, then 16 counts: about 1 update in 11 touches the rank's index."""
    assert 0.8 <= await hot_updates(large_database_url, 1000, 500) < 0.95
