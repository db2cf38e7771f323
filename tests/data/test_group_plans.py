"""What Postgres does for each statement about groups at size: 1,000 groups, 100,000 memberships, a fifth of them of one."""

from collections.abc import Iterator
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from libs.data.catalog.reputation import GROUP_ADMINS, GROUP_MEMBERS, GROUPS, GROUPS_PARTICIPATED, USERS
from libs.data.transaction import _lock_and_read_sql
from services.reputation.groups import store, store_activity, store_groups, store_modes, store_reads
from tests.data.plans import Plan, explained
from tests.postgres import scratch_database

GROUPS_THERE, USERS_THERE, MEMBERS_OF_HOT = 1_000, 20_000, 20_000
PAGE = 51


def group(n: int) -> UUID:
    return UUID(int=(0x4000_8000 << 64) + n)


def user(n: int) -> UUID:
    return UUID(int=(0x4000_9000 << 64) + n)


# Everybody is in the hot group and in four others; one in five has left.
FILL = f"""
INSERT INTO reputation.users (id, registered_at)
SELECT ('00000000-4000-9000-0000-' || lpad(to_hex(n), 12, '0'))::uuid, now() FROM generate_series(0, {USERS_THERE - 1}) n;

INSERT INTO reputation.user_global_reputation (user_id) SELECT id FROM reputation.users;

INSERT INTO reputation.community_groups
    (id, telegram_group_id, name, group_type, admin_user_id, member_count, admin_count)
SELECT ('00000000-4000-8000-0000-' || lpad(to_hex(n), 12, '0'))::uuid, CASE WHEN n % 2 = 0 THEN -n - 1 END,
       'Group ' || md5(n::text), CASE WHEN n % 10 = 0 THEN 'community' ELSE 'neighborhood' END,
       '00000000-4000-9000-0000-000000000000', 1, 1
FROM generate_series(0, {GROUPS_THERE - 1}) n;

INSERT INTO reputation.group_members (group_id, user_id, role, joined_time, left_time)
SELECT ('00000000-4000-8000-0000-' || lpad(to_hex(CASE k WHEN 0 THEN 0 ELSE (n * 7 + k * 131) % 999 + 1 END), 12, '0'))::uuid,
       ('00000000-4000-9000-0000-' || lpad(to_hex(n), 12, '0'))::uuid,
       CASE WHEN n % 100 = 0 THEN 'admin' ELSE 'member' END, now() - n * interval '1 minute',
       CASE WHEN n % 5 = 4 THEN now() END
FROM generate_series(0, {USERS_THERE - 1}) n, generate_series(0, 4) k;

INSERT INTO reputation.group_member_changes
    (group_id, user_id, request_id, change, role, actor_id, joined_time, member_count, commit_xid, change_time)
SELECT group_id, user_id, user_id, 'joined', role, user_id, joined_time, 1, '1', joined_time FROM reputation.group_members;

REFRESH MATERIALIZED VIEW reputation.group_activity_summary
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
FIRST = ("", UUID(int=0), PAGE)
DEEP = ("Group 8", UUID(int=0), PAGE)


def no_table_is_read_whole(plan: Plan) -> None:
    """But for the one row that says when the summary was refreshed."""
    assert not {name for kind, name in plan.scans if kind == "Seq Scan"} - {"group_activity_refresh"}, plan.scans


@each_way
async def test_a_group_and_how_a_user_shares_are_read_by_key(large_database_url: str, generic: bool) -> None:
    for statement, key, index in (
        (store_reads.GET, group(5), "community_groups_pkey"),
        (store_reads.GET_OF_CHAT, -101, "idx_community_groups_telegram"),
        (store_groups.OF_CHAT, -101, "idx_community_groups_telegram"),
        (store_modes.SET, (user(7), "community"), "users_pkey"),
    ):
        arguments = key if isinstance(key, tuple) else (key,)
        plan = await explained(large_database_url, statement, *arguments, generic=generic)
        plan.uses(index)
        assert plan.rows_read == 1


@pytest.mark.parametrize("after", [FIRST, DEEP], ids=["first", "deep"])
@each_way
async def test_a_page_of_groups_reads_a_page_of_its_index(
    large_database_url: str, after: tuple[object, ...], generic: bool
) -> None:
    plan = await explained(large_database_url, store_reads.BY_NAME, *after, generic=generic)
    plan.uses("community_groups_by_name")
    assert plan.rows_read == PAGE and plan.rows_sorted == 0
    plan = await explained(large_database_url, store_reads.BY_NAME_OF_TYPE, *after, "community", generic=generic)
    plan.uses("community_groups_by_type")
    assert plan.rows_read == PAGE and plan.rows_sorted == 0


@each_way
async def test_a_users_groups_are_found_by_the_user(large_database_url: str, generic: bool) -> None:
    for statement, filters in (
        (store_reads.OF_MEMBER, (user(9_000),)),
        (store_reads.OF_MEMBER_OF_TYPE, (user(9_000), "neighborhood")),
    ):
        plan = await explained(large_database_url, statement, *FIRST, *filters, generic=generic)
        plan.uses("group_members_by_user", "community_groups_pkey")
        assert plan.rows_read <= 12, plan.rows_read


@each_way
async def test_a_page_of_the_members_of_a_large_group_reads_no_other_and_nobody_who_left(
    large_database_url: str, generic: bool
) -> None:
    plan = await explained(
        large_database_url, store_reads.MEMBERS, group(0), store_reads.EVER, UUID(int=0), PAGE, generic=generic
    )
    plan.uses("group_members_in_order")
    assert plan.rows_read == PAGE and plan.rows_sorted == 0


async def test_changes_of_memberships_read_what_they_name(large_database_url: str) -> None:
    """A batch of 100: one row a user, one a change, however many there are."""
    users = [user(n) for n in range(100)]
    hot = [group(0)] * 100
    asked = (hot, users, hot, users, users)
    plan = await explained(large_database_url, store.LOOK_UP, *asked, generic=True)
    no_table_is_read_whole(plan)
    assert plan.rows_read == 200
    statement = _lock_and_read_sql(GROUPS, store.LOOK_UP)
    plan = await explained(large_database_url, statement, [group(0), group(1)], *asked, generic=True)
    no_table_is_read_whole(plan)
    plan = await explained(large_database_url, _lock_and_read_sql(USERS, store.LEVELS), users, users, generic=True)
    no_table_is_read_whole(plan)
    # Locked, looked at again, and as many users.
    assert plan.rows_read <= 400, plan.rows_read


@each_way
async def test_what_went_on_is_read_by_group_and_in_order(large_database_url: str, generic: bool) -> None:
    plan = await explained(large_database_url, store_activity.GET, group(5), generic=generic)
    no_table_is_read_whole(plan)
    assert plan.rows_read == 3
    for statement, filters, index in (
        (store_activity.MOST_SUCCESSFUL, (), "group_activity_summary_by_exchanges"),
        (store_activity.MOST_SUCCESSFUL_OF_TYPE, ("community",), "group_activity_summary_by_type"),
    ):
        asked = (*store_activity.ABOVE_ALL, PAGE, *filters)
        plan = await explained(large_database_url, statement, *asked, generic=generic)
        no_table_is_read_whole(plan)
        assert index in {name for _, name in plan.scans}
        assert plan.rows_read == PAGE + 1


@each_way
async def test_verifying_a_small_group_or_a_user_does_not_see_the_large_group(
    large_database_url: str, generic: bool
) -> None:
    for counter, key in ((GROUP_MEMBERS, group(5)), (GROUP_ADMINS, group(5)), (GROUPS_PARTICIPATED, user(5))):
        plan = await explained(large_database_url, counter.verify_sql, key, generic=generic)
        no_table_is_read_whole(plan)
        assert plan.rows_read <= 120, (counter.name, plan.rows_read)
        plan = await explained(large_database_url, counter.read_sql, [key], generic=generic)
        plan.uses("user_global_reputation_pkey" if counter.aggregate is USERS else "community_groups_pkey")
        assert plan.rows_read == 1
