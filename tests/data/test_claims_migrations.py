"""The schema of claims: added beside petitions that are at work, again after it broke off, and as it was asked for."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from libs.data.migrate import current_revision, expected_revision, upgrade

PETITIONS = """
INSERT INTO petition.petition_submissions
    (petition_id, title, body, petition_type, submitter_id, escalation_thresholds, co_signer_count, last_ordinal)
SELECT gen_random_uuid(), 'Number ' || n, 'Body', 'local', gen_random_uuid(), '{2}', n, n FROM generate_series(0, 9) n;
INSERT INTO petition.co_signs (petition_id, user_id, ordinal, co_signer_count, request_id, signed_time)
SELECT petition_id, gen_random_uuid(), n, n, gen_random_uuid(), now()
FROM petition.petition_submissions, generate_series(1, co_signer_count) n;
INSERT INTO operations.events (position, kind, aggregate_id, version, payload)
SELECT row_number() OVER (), 'petition.counted', petition_id::text, 1, '{}' FROM petition.petition_submissions;
UPDATE operations.halt SET halted = true, reason = 'during the migration'
"""
A_POST = """
INSERT INTO claims.food_posts
    (food_post_id, title, sharing_mode, giver_id, portions, portions_remaining, portions_held, pickup_time)
VALUES (gen_random_uuid(), 'Soup', 'community', gen_random_uuid(), 5, 3, 2, now())
"""
TWO_HOLDS_OF_ONE_USER = """
INSERT INTO claims.exchanges
    (food_id, exchange_id, giver_id, receiver_id, portions, status, hold_expire_time, created_at, status_time)
SELECT food_post_id, gen_random_uuid(), giver_id, '11111111-1111-4111-8111-111111111111', 1, 'pending', now(), now(), now()
FROM claims.food_posts, generate_series(1, 2)
"""
A_COUPON = "INSERT INTO claims.coupons (name, amount, remaining_amount) VALUES ('Bread', 5, 5)"

# Those that the requirements name: on what, and of which rows.
NAMED = {
    "idx_food_posts_active_location": (
        "claims.food_posts USING btree (status, pickup_time, group_id)",
        "(status = 'available'::text)",
    ),
    "idx_food_posts_discovery": (
        "claims.food_posts USING btree (group_id, status, pickup_time, created_at)",
        "(status = 'available'::text)",
    ),
    "idx_exchanges_group_status": (
        "claims.exchanges USING btree (food_id, status, created_at)",
        "(status = ANY (ARRAY['pending'::text, 'confirmed'::text, 'completed'::text]))",
    ),
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
    """Everything that was there before claims."""
    return [
        rows(db, f"SELECT r::text FROM {table} r ORDER BY 1")
        for table in ("petition.petition_submissions", "petition.co_signs", "operations.events", "operations.halt")
    ]


def indexes(db: psycopg.Connection) -> dict[str, bool]:
    """Each index of claims, and whether it is valid."""
    found = db.execute(
        "SELECT c.relname, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
        "WHERE c.relnamespace = 'claims'::regnamespace"
    ).fetchall()
    return dict(found)


def test_claims_come_to_a_database_that_holds_petitions_and_leave_them_alone(
    empty_database_url: str, db: psycopg.Connection
) -> None:
    upgrade(empty_database_url, "0004")
    run(db, PETITIONS)
    before = stored(db)
    assert [len(table) for table in before] == [10, 45, 10, 1]
    upgrade(empty_database_url)
    assert current_revision(empty_database_url) == expected_revision()
    assert stored(db) == before
    run(db, A_POST)
    run(db, A_COUPON)


def test_petitions_are_signed_while_claims_are_added(empty_database_url: str, db: psycopg.Connection) -> None:
    """A signature in flight holds its locks, and the migration neither waits for it nor keeps it from anything."""
    upgrade(empty_database_url, "0004")
    run(db, PETITIONS)
    with psycopg.connect(empty_database_url) as signer:
        signer.execute("UPDATE petition.petition_submissions SET co_signer_count = 77 WHERE title = 'Number 3'")
        upgrade(empty_database_url, "0005")
        signer.execute("SELECT count(*) FROM petition.co_signs")
        signer.commit()
    upgrade(empty_database_url)
    assert rows(db, "SELECT co_signer_count FROM petition.petition_submissions WHERE title = 'Number 3'") == [(77,)]


def test_an_index_whose_build_broke_off_is_built_by_the_next_run(
    empty_database_url: str, db: psycopg.Connection
) -> None:
    upgrade(empty_database_url, "0005")
    run(db, A_POST)
    run(db, TWO_HOLDS_OF_ONE_USER)
    with pytest.raises(Exception, match="could not create unique index"):
        upgrade(empty_database_url)
    broken_off = indexes(db)
    assert broken_off["exchanges_one_at_a_time"] is False
    assert broken_off["idx_food_posts_discovery"] is True
    assert "exchanges_by_receiver" not in broken_off
    assert current_revision(empty_database_url) == "0005"
    db.execute("DELETE FROM claims.exchanges WHERE ctid = (SELECT min(ctid) FROM claims.exchanges)")
    upgrade(empty_database_url)
    assert all(indexes(db).values())
    assert set(indexes(db)) > set(broken_off)
    assert current_revision(empty_database_url) == expected_revision()


def test_migrating_again_changes_nothing(empty_database_url: str, db: psycopg.Connection) -> None:
    upgrade(empty_database_url)
    run(db, A_POST)
    columns = (
        "SELECT md5(string_agg(c::text, ' ' ORDER BY c::text)) FROM information_schema.columns c "
        "WHERE table_schema = 'claims'"
    )
    before = (rows(db, columns), indexes(db), rows(db, "SELECT p::text FROM claims.food_posts p"))
    upgrade(empty_database_url)
    assert (rows(db, columns), indexes(db), rows(db, "SELECT p::text FROM claims.food_posts p")) == before


@pytest.mark.parametrize("name", NAMED)
def test_a_named_index_is_on_the_columns_and_rows_that_were_asked_for(migrated: psycopg.Connection, name: str) -> None:
    """C5, and the table of indexes in the requirements."""
    on, where = NAMED[name]
    found = rows(migrated, f"SELECT indexdef FROM pg_indexes WHERE schemaname = 'claims' AND indexname = '{name}'")
    assert found == [(f"CREATE INDEX {name} ON {on} WHERE {where}",)]
    assert indexes(migrated)[name] is True


def test_no_index_is_on_a_counter_and_tables_that_hold_one_leave_room(migrated: psycopg.Connection) -> None:
    """An index on a counter would cost every claim an index entry."""
    counters = (
        "remaining_amount|claim_count|waiting_count|portions_remaining|portions_held|portions_claimed|completed_count"
    )
    on_counter = f"SELECT indexname FROM pg_indexes WHERE schemaname = 'claims' AND indexdef ~ '[( ]({counters})[,)]'"
    assert rows(migrated, on_counter) == []
    full = (
        "SELECT relname FROM pg_class WHERE relname IN ('coupons', 'food_posts') AND relkind = 'r' "
        "AND reloptions::text ~ 'fillfactor=70' ORDER BY 1"
    )
    assert rows(migrated, full) == [("coupons",), ("food_posts",)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE claims.food_posts SET portions_remaining = 4",
        "UPDATE claims.food_posts SET portions_remaining = -1, portions_held = 6",
        "UPDATE claims.food_posts SET portions_claimed = 1",
        "UPDATE claims.food_posts SET portions = 6",
        "UPDATE claims.food_posts SET portions = 0, portions_remaining = 0, portions_held = 0",
        "UPDATE claims.coupons SET remaining_amount = 4",
        "UPDATE claims.coupons SET remaining_amount = 6",
        "UPDATE claims.coupons SET claim_count = 1",
        "UPDATE claims.coupons SET restocked_amount = 1",
        "UPDATE claims.coupons SET waiting_count = 1",
        "UPDATE claims.coupons SET remaining_amount = -1, claim_count = 6",
    ],
)
def test_stock_that_does_not_add_up_cannot_be_stored(migrated: psycopg.Connection, statement: str) -> None:
    """G2, G4: whoever writes it."""
    run(migrated, A_POST)
    run(migrated, A_COUPON)
    with pytest.raises(psycopg.errors.CheckViolation):
        migrated.execute(sql.SQL(statement))


def test_a_user_cannot_have_two_active_exchanges_of_a_post(migrated: psycopg.Connection) -> None:
    run(migrated, A_POST)
    with pytest.raises(psycopg.errors.UniqueViolation):
        run(migrated, TWO_HOLDS_OF_ONE_USER)


def test_the_status_of_a_post_follows_from_its_portions_and_cannot_be_said(migrated: psycopg.Connection) -> None:
    run(migrated, A_POST)
    for change, status in (
        ("title = title", "available"),
        ("portions_remaining = 0, portions_held = 5", "exhausted"),
        ("portions_remaining = 5, portions_held = 0", "available"),
        ("closed_time = now()", "closed"),
        ("portions_remaining = 0, portions_held = 5", "closed"),
    ):
        run(migrated, f"UPDATE claims.food_posts SET {change}")
        assert rows(migrated, "SELECT status FROM claims.food_posts") == [(status,)]
    with pytest.raises(psycopg.errors.GeneratedAlways):
        migrated.execute("UPDATE claims.food_posts SET status = 'available'")
