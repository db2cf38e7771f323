"""The schema of reputation: added beside services that are at work, again after it broke off, and as it was asked for."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from libs.data.migrate import current_revision, expected_revision, upgrade

AT_WORK = """
INSERT INTO claims.food_posts
    (food_post_id, title, group_id, sharing_mode, giver_id, portions, portions_remaining, portions_held, pickup_time)
SELECT gen_random_uuid(), 'Soup', gen_random_uuid(), 'community', gen_random_uuid(), 5, 3, 2, now()
FROM generate_series(1, 20);
INSERT INTO claims.exchanges
    (food_id, exchange_id, giver_id, receiver_id, portions, status, hold_expire_time, created_at, status_time)
SELECT food_post_id, gen_random_uuid(), giver_id, gen_random_uuid(), 2, 'completed', now(), now(), now()
FROM claims.food_posts;
INSERT INTO operations.events (position, kind, aggregate_id, version, payload)
SELECT row_number() OVER (), 'exchange.completed', exchange_id::text, 1, '{}' FROM claims.exchanges;
UPDATE operations.halt SET halted = true, reason = 'during the migration'
"""
A_USER = """
INSERT INTO reputation.users (id) VALUES ('11111111-1111-4111-8111-111111111111');
INSERT INTO reputation.user_global_reputation (user_id) SELECT id FROM reputation.users
"""
AN_EVENT = """
INSERT INTO reputation.reputation_events
    (id, user_id, sequence, event_type, impact_score, counted_impact, previous_score, new_score, cap_day, stream_id, request_id)
SELECT gen_random_uuid(), id, {sequence}, '{event_type}', 1, 1, 75, {score}, now(), {stream_id}, {request_id}
FROM reputation.users
"""
GOOD = {"sequence": 2, "event_type": "x", "score": 76, "stream_id": "NULL", "request_id": "gen_random_uuid()"}

# Those that the requirements name, in this schema.
NAMED = {
    "idx_users_reputation_active": "user_global_reputation USING btree (trust_level, overall_score, last_activity)",
    "idx_users_sharing_mode": "users USING btree (sharing_mode, verification_level, created_at)",
    "idx_community_groups_telegram": "community_groups USING btree (telegram_group_id, group_type, admin_user_id)",
    "idx_reputation_events_user_recent": "reputation_events USING btree (user_id, created_at DESC)",
    "idx_reputation_events_stream": "reputation_events USING btree (stream_partition, stream_id, processed_at)",
}


@pytest.fixture
def db(empty_database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def migrated(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


def run(db: psycopg.Connection, statements: str) -> None:
    for statement in statements.split(";\n"):
        db.execute(sql.SQL(statement))


def rows(db: psycopg.Connection, statement: str) -> list[tuple[object, ...]]:
    return db.execute(sql.SQL(statement)).fetchall()


def stored(db: psycopg.Connection) -> list[list[tuple[object, ...]]]:
    """Everything that was there before reputation."""
    tables = ("claims.food_posts", "claims.exchanges", "operations.events", "operations.halt")
    return [rows(db, f"SELECT r::text FROM {table} r ORDER BY 1") for table in tables]


def indexes(db: psycopg.Connection) -> dict[str, bool]:
    """Each index of reputation, and whether it is valid."""
    found = db.execute(
        "SELECT c.relname, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
        "WHERE c.relnamespace = 'reputation'::regnamespace"
    ).fetchall()
    return dict(found)


def test_reputation_comes_to_a_database_at_work_and_leaves_what_is_there_alone(
    empty_database_url: str, db: psycopg.Connection
) -> None:
    """An exchange in flight holds its locks, and the migration neither waits for it nor keeps it from anything."""
    upgrade(empty_database_url, "0010")
    run(db, AT_WORK)
    before = stored(db)
    assert [len(table) for table in before] == [20, 20, 20, 1]
    with psycopg.connect(empty_database_url) as at_work:
        at_work.execute("UPDATE claims.food_posts SET title = 'Stew'")
        upgrade(empty_database_url, "0011")
        at_work.execute("SELECT count(*) FROM claims.exchanges")
        at_work.rollback()
    upgrade(empty_database_url)
    assert current_revision(empty_database_url) == expected_revision()
    assert stored(db) == before
    run(db, A_USER)
    run(db, AN_EVENT.format(**GOOD))


def test_an_index_whose_build_broke_off_is_built_by_the_next_run(
    empty_database_url: str, db: psycopg.Connection
) -> None:
    upgrade(empty_database_url, "0011")
    run(db, A_USER)
    for _ in range(2):
        run(db, AN_EVENT.format(**GOOD))
    with pytest.raises(Exception, match="could not create unique index"):
        upgrade(empty_database_url)
    assert indexes(db)["reputation_events_sequence"] is False
    assert current_revision(empty_database_url) == "0011"
    first = "(SELECT min(ctid) FROM reputation.reputation_events)"
    run(db, f"UPDATE reputation.reputation_events SET sequence = 1 WHERE ctid = {first}")
    upgrade(empty_database_url)
    assert all(indexes(db).values())
    assert current_revision(empty_database_url) == expected_revision()
    before = indexes(db)
    upgrade(empty_database_url)
    assert indexes(db) == before


def test_a_named_index_is_on_the_columns_that_were_asked_for(migrated: psycopg.Connection) -> None:
    found = rows(
        migrated,
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'reputation' AND indexname LIKE 'idx%' ORDER BY 1",
    )
    assert found == [(name, f"CREATE INDEX {name} ON reputation.{on}") for name, on in sorted(NAMED.items())]


def test_somebody_new_has_what_was_asked_for(migrated: psycopg.Connection) -> None:
    with migrated.transaction():
        run(migrated, A_USER)
    found = rows(
        migrated,
        "SELECT overall_score::text, trust_level, reliability_score::text, peak_reputation::text, reputation_trend, "
        "reputation_sync_status, sharing_mode, verification_level FROM reputation.user_global_reputation "
        "JOIN reputation.users ON id = user_id WHERE created_at = known_since",
    )
    assert found == [("75.00", "developing", "75.00", "75.00", "stable", "synced", "neighborhood", "full")]


@pytest.mark.parametrize(
    "wrong",
    [
        {"event_type": ""},
        {"event_type": "x" * 51},
        {"score": "100.00"},
        {"score": "-0.01"},
        {"sequence": 0},
        {"sequence": 1},
        {"stream_id": "'5-1'"},
        {"request_id": "'22222222-2222-4222-8222-222222222222'"},
    ],
    ids=lambda wrong: " ".join(wrong),
)
def test_a_ledger_that_does_not_add_up_cannot_be_stored(migrated: psycopg.Connection, wrong: dict[str, object]) -> None:
    """G10: whoever writes it. A place in the chain, what it comes from, and a request are there once."""
    run(migrated, A_USER)
    first = {"sequence": 1, "stream_id": "'5-1'", "request_id": "'22222222-2222-4222-8222-222222222222'"}
    run(migrated, AN_EVENT.format(**(GOOD | first)))
    with pytest.raises((psycopg.errors.IntegrityError, psycopg.errors.DataError)):
        run(migrated, AN_EVENT.format(**(GOOD | wrong)))
    run(migrated, AN_EVENT.format(**GOOD))


@pytest.mark.parametrize(
    "change",
    [
        "overall_score = 100",
        "overall_score = -0.01",
        "trust_level = 'beloved'",
        "reputation_trend = 'sideways'",
        "event_count = -1",
    ],
)
def test_a_reputation_that_cannot_be_is_not_stored(migrated: psycopg.Connection, change: str) -> None:
    """G2."""
    run(migrated, A_USER)
    with pytest.raises((psycopg.errors.IntegrityError, psycopg.errors.DataError)):
        run(migrated, f"UPDATE reputation.user_global_reputation SET {change}")
