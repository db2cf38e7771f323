"""What Postgres does for each statement about ledgers at size: 100,000 users, 60,000 events of one of them, 200,000 of others.

Most users have one of few scores, as where most are new; in the other half of the runs the plans were made for any arguments.
"""

from collections.abc import Iterator
from datetime import date
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from libs.data.catalog.reputation import EVENTS, LEDGER_TOTALS, SCORE, USERS
from libs.data.counters import aggregate_update_sql
from libs.data.transaction import _lock_and_read_sql
from services.reputation.ledger import store, store_reads, store_users
from tests.data.plans import Plan, explained
from tests.postgres import scratch_database

USERS_STORED, OF_HOT = 100_000, 60_000
HOT, SMALL, NOBODY = (UUID(int=(0x4000_8000 << 64) + n) for n in (0, 7, USERS_STORED))
PAGE = 51


def event(user: int, n: int) -> UUID:
    return UUID(int=(0x5000_8000 << 64) + (user << 32) + n)


FILL = f"""
INSERT INTO reputation.users (id, registered_at)
SELECT ('00000000-4000-8000-0000-' || lpad(to_hex(n), 12, '0'))::uuid, now() FROM generate_series(0, {USERS_STORED - 1}) n;

INSERT INTO reputation.user_global_reputation (user_id, overall_score, trust_level, event_count, demotion_time)
SELECT id, CASE WHEN n % 10 = 0 THEN (n % 9000 + 500) / 100.0 ELSE 75.00 END,
       CASE WHEN n % 7 = 1 THEN 'trusted' WHEN n % 1009 = 3 THEN 'exemplary' ELSE 'developing' END, 2,
       CASE WHEN n % 500 = 3 THEN now() - n * interval '1 second' WHEN n % 50 = 3 THEN now() + interval '1 day' END
FROM (SELECT id, row_number() OVER (ORDER BY id) - 1 AS n FROM reputation.users) u;

INSERT INTO reputation.reputation_events
    (id, user_id, sequence, event_type, impact_score, counted_impact, previous_score, new_score, cap_day, created_at, stream_id,
     stream_partition, request_id, commit_xid)
SELECT ('00000000-5000-8000-0000-' || lpad(to_hex(u.n), 4, '0') || lpad(to_hex(e.n), 8, '0'))::uuid, u.id, e.n,
       CASE WHEN e.n % 2 = 0 THEN 'food_shared' ELSE 'garden_watered' END, 0, 0, 75, 75, date '2026-01-01' + e.n / 20,
       now() + e.n * interval '1 microsecond', CASE WHEN e.n % 3 = 0 THEN '7-' || e.n END,
       CASE WHEN e.n % 3 = 0 THEN e.n % 8 END, CASE WHEN e.n % 3 > 0 THEN gen_random_uuid() END, '1'
FROM (SELECT id, row_number() OVER (ORDER BY id) - 1 AS n FROM reputation.users) u,
     LATERAL generate_series(1, CASE WHEN u.n = 0 THEN {OF_HOT} WHEN u.n < 50000 THEN 4 ELSE 0 END) AS e(n);

INSERT INTO reputation.daily_impacts (user_id, day, event_type, impact_sum)
SELECT user_id, cap_day, event_type, sum(impact_score) FROM reputation.reputation_events WHERE event_type = 'food_shared'
GROUP BY 1, 2, 3;

INSERT INTO reputation.community_groups (name, group_type) SELECT 'Group ' || n, 'community' FROM generate_series(1, 2000) n
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
SOME = [UUID(int=(0x4000_8000 << 64) + n) for n in range(0, USERS_STORED, 199)][:500]


@each_way
async def test_reputations_are_read_by_the_users_keys(large_database_url: str, generic: bool) -> None:
    """R1: one, or five hundred: a row each."""
    for users in ([SMALL], SOME):
        plan = await explained(large_database_url, store_reads.REPUTATIONS, users, generic=generic)
        plan.uses("user_global_reputation_pkey")
        assert plan.rows_read == len(users)
    plan = await explained(large_database_url, store_reads.GET_USER, SMALL, generic=generic)
    plan.uses("users_pkey")
    assert plan.rows_read == 1
    plan = await explained(large_database_url, store_reads.EXISTS, NOBODY, generic=generic)
    plan.uses("user_global_reputation_pkey")
    assert plan.rows_read == 0


def looked_up(user_id: UUID, request_id: UUID) -> tuple[object, ...]:
    """Of a batch of a hundred commands of one user, each with a request, a stream id and a day, one to be taken back."""
    users = [user_id] * 100
    requests = [UUID(int=n) for n in range(99)] + [request_id]
    days = [date(2026, 1, 1 + n % 28) for n in range(100)]
    return (users, requests, users, [f"7-{n}" for n in range(100)], [event(0, 31)], users, days, ["food_shared"] * 100)


LOOK_UP_INDEXES = {
    "user_global_reputation_pkey",
    "reputation_events_request",
    "reputation_events_once",
    "reputation_events_pkey",
    "daily_impacts_pkey",
}


async def test_a_batch_reads_of_a_long_ledger_only_what_its_commands_are_about(large_database_url: str) -> None:
    """R2: not the sixty thousand events there are."""
    request_id = UUID(int=5)
    asked = looked_up(HOT, request_id)
    for statement, arguments in (
        (store.LOOK_UP, asked),
        (_lock_and_read_sql(USERS, store.LOOK_UP), ([HOT, SMALL], *asked)),
    ):
        plan = await explained(large_database_url, statement, *arguments, generic=True)
        used = {name for kind, name in plan.scans if "Index" in kind}
        assert used <= LOOK_UP_INDEXES, plan.scans
        assert not [scan for scan in plan.scans if scan[0] == "Seq Scan"], plan.scans
        assert 60 <= plan.rows_read <= 200, plan.rows_read


@each_way
async def test_users_are_locked_and_moved_by_their_keys(large_database_url: str, generic: bool) -> None:
    plan = await explained(large_database_url, USERS.lock_sql, SOME, generic=generic)
    plan.uses("user_global_reputation_pkey")
    assert plan.rows_read <= 2 * len(SOME)
    moved = aggregate_update_sql(USERS, (SCORE, EVENTS), ("trust_level", "demotion_time"))
    numbers = [0] * len(SOME)
    levels = ["developing"] * len(SOME)
    times: list[object] = [None] * len(SOME)
    plan = await explained(large_database_url, moved, SOME, numbers, numbers, levels, times, generic=generic)
    assert {name for kind, name in plan.scans if "Index" in kind} <= {"user_global_reputation_pkey"}, plan.scans
    if generic:
        plan.uses("user_global_reputation_pkey")


@each_way
async def test_events_groups_and_those_who_are_due_are_found_by_their_indexes(
    large_database_url: str, generic: bool
) -> None:
    plan = await explained(large_database_url, store.OWNERS, [event(0, 5), event(9, 1), NOBODY], generic=generic)
    plan.uses("reputation_events_pkey")
    assert plan.rows_read == 2
    plan = await explained(large_database_url, store.GROUPS, [NOBODY], generic=generic)
    plan.uses("community_groups_pkey")
    plan = await explained(large_database_url, store.REVERSE, [event(0, 5)], [NOBODY], generic=generic)
    plan.uses("reputation_events_pkey")
    plan = await explained(large_database_url, store_users.DUE, 100, generic=generic)
    plan.uses("user_global_reputation_demotions")
    assert plan.rows_read == 100


@pytest.mark.parametrize("before", [store_reads.AFTER_ALL, OF_HOT // 2], ids=["first", "deep"])
@each_way
async def test_a_page_of_a_ledger_reads_a_page(large_database_url: str, before: int, generic: bool) -> None:
    """R2."""
    plan = await explained(large_database_url, store_reads.LEDGER_PAGE, HOT, before, PAGE, generic=generic)
    plan.uses("reputation_events_sequence")
    assert (plan.rows_read, plan.rows_sorted) == (PAGE, 0)


@each_way
async def test_a_replay_reads_one_ledger_in_its_order(large_database_url: str, generic: bool) -> None:
    """G10."""
    plan = await explained(large_database_url, store_reads.CHAIN, SMALL, generic=generic)
    plan.uses("reputation_events_sequence")
    assert (plan.rows_read, plan.rows_sorted) == (4, 0)
    plan = await explained(large_database_url, store_reads.STORED, SMALL, generic=generic)
    plan.uses("user_global_reputation_pkey")


def reads_a_page(plan: Plan, index: str) -> None:
    plan.uses(index)
    assert (plan.rows_read, plan.rows_sorted) == (PAGE, 0)


@pytest.mark.parametrize("after", [store_reads.HIGHEST, (75_00, UUID(int=0x4000_9000 << 64))], ids=["first", "deep"])
@each_way
async def test_a_page_of_leaders_reads_a_page(large_database_url: str, after: tuple[int, UUID], generic: bool) -> None:
    """R3: also in the midst of those who all have the score that everybody starts with."""
    plan = await explained(large_database_url, store_reads.LEADERS, *after, PAGE, generic=generic)
    reads_a_page(plan, "user_global_reputation_leaders")
    of_level = (*after, PAGE, "TRUSTED")
    plan = await explained(large_database_url, store_reads.LEADERS_OF_LEVEL, *of_level, generic=generic)
    reads_a_page(plan, "user_global_reputation_leaders_of_level")
    plan = await explained(large_database_url, SCORE.top_sql, PAGE, generic=generic)
    reads_a_page(plan, "user_global_reputation_leaders")


@pytest.mark.parametrize("counter", [SCORE, EVENTS, *LEDGER_TOTALS], ids=lambda counter: counter.name)
async def test_verifying_a_short_ledger_does_not_see_the_long_one(large_database_url: str, counter: object) -> None:
    plan = await explained(large_database_url, counter.verify_sql, SMALL, generic=True)  # type: ignore[attr-defined]
    assert not [scan for scan in plan.scans if scan[0] == "Seq Scan"], plan.scans
    assert plan.rows_read <= 10
    plan = await explained(large_database_url, counter.read_sql, [SMALL, HOT], generic=True)  # type: ignore[attr-defined]
    plan.uses("user_global_reputation_pkey")
    assert plan.rows_read == 2
