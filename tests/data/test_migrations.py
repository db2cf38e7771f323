"""Migrations: from nothing, from an earlier version that holds rows and is at work, again, and two at once."""

import concurrent.futures
import threading
from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from libs.data.migrate import current_revision, expected_revision, upgrade

TABLE = "petition.petition_submissions"


@pytest.fixture
def db(empty_database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        yield connection


def value(db: psycopg.Connection, statement: str, *arguments: object) -> object:
    row = db.execute(sql.SQL(statement), arguments).fetchone()
    assert row is not None
    return row[0]


def fill(db: psycopg.Connection, petitions: int, signers: int) -> None:
    """Petitions under the schema of revision 0002, the n-th with n * signers signatures."""
    db.execute(
        """
        INSERT INTO petition.petition_submissions
            (petition_id, title, body, petition_type, submitter_id, escalation_thresholds)
        SELECT gen_random_uuid(), 'Number ' || n, 'Body', 'local', gen_random_uuid(), '{}' FROM generate_series(1, %s) n
        """,
        [petitions],
    )
    db.execute(
        """
        INSERT INTO petition.co_signs (petition_id, user_id, ordinal, co_signer_count, request_id, signed_time)
        SELECT p.petition_id, gen_random_uuid(), n, n, gen_random_uuid(), now()
        FROM (SELECT petition_id, row_number() OVER (ORDER BY title) AS rank FROM petition.petition_submissions) p,
             generate_series(1, (p.rank - 1)::integer * %s) n
        """,
        [signers],
    )


def wrong_counters(db: psycopg.Connection) -> object:
    return value(
        db,
        f"SELECT count(*) FROM {TABLE} p, "
        "LATERAL (SELECT count(*) AS n FROM petition.co_signs c WHERE c.petition_id = p.petition_id) rows "
        "WHERE p.co_signer_count <> n OR p.signature_rank <> operations.rank_of(n)",
    )


def indexes(db: psycopg.Connection) -> dict[str, bool]:
    rows = db.execute(
        "SELECT indexrelid::regclass::text, indisvalid FROM pg_index JOIN pg_class c ON c.oid = indexrelid "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'petition'"
    ).fetchall()
    return dict(rows)


def test_an_empty_database_becomes_the_newest_version(empty_database_url: str, db: psycopg.Connection) -> None:
    assert current_revision(empty_database_url) is None
    upgrade(empty_database_url)
    assert current_revision(empty_database_url) == expected_revision()
    assert value(db, "SELECT halted FROM operations.halt") is False


def test_the_counter_column_is_as_it_was_asked_for(empty_database_url: str, db: psycopg.Connection) -> None:
    upgrade(empty_database_url)
    column = db.execute(
        "SELECT data_type, is_nullable, column_default FROM information_schema.columns WHERE table_schema = 'petition' "
        "AND table_name = 'petition_submissions' AND column_name = 'co_signer_count'"
    ).fetchone()
    assert column == ("integer", "NO", "0")
    comment = value(
        db,
        "SELECT col_description(attrelid, attnum) FROM pg_attribute "
        f"WHERE attrelid = '{TABLE}'::regclass AND attname = 'co_signer_count'",
    )
    assert isinstance(comment, str) and "Signatures that stand" in comment
    checks = db.execute(
        "SELECT check_clause FROM information_schema.check_constraints "
        "WHERE constraint_name = 'petition_submissions_co_signer_count_check'"
    ).fetchall()
    assert checks == [("(co_signer_count >= 0)",)]
    assert value(
        db, "SELECT convalidated FROM pg_constraint WHERE conname = 'petition_submissions_co_signer_count_check'"
    )


def test_the_counter_can_be_neither_null_nor_negative(empty_database_url: str, db: psycopg.Connection) -> None:
    """G2."""
    upgrade(empty_database_url)
    fill(db, 1, 0)
    for bad, error in (("NULL", psycopg.errors.NotNullViolation), ("-1", psycopg.errors.CheckViolation)):
        with pytest.raises(error):
            db.execute(sql.SQL(f"UPDATE {TABLE} SET co_signer_count = {bad}"))
    assert value(db, f"SELECT co_signer_count FROM {TABLE}") == 0


def test_the_indexes_exist_and_none_is_on_the_counter(empty_database_url: str, db: psycopg.Connection) -> None:
    """An index on the counter would cost every signature an index entry."""
    upgrade(empty_database_url)
    found = indexes(db)
    assert {"petition.idx_co_signs_petition_id", "petition.co_signs_pkey"} <= set(found)
    assert all(found.values())
    on_counter = value(
        db,
        "SELECT count(*) FROM pg_indexes WHERE tablename = 'petition_submissions' AND indexdef ~ '[( ]co_signer_count'",
    )
    assert on_counter == 0
    options = value(db, f"SELECT reloptions::text FROM pg_class WHERE oid = '{TABLE}'::regclass")
    assert "fillfactor=70" in str(options)


def test_rows_that_are_already_there_get_their_counts(empty_database_url: str, db: psycopg.Connection) -> None:
    """G2: across several batches of the back-fill, petitions nobody signed among them."""
    upgrade(empty_database_url, "0002")
    fill(db, 1200, 0)
    db.execute(
        """
        INSERT INTO petition.co_signs (petition_id, user_id, ordinal, co_signer_count, request_id, signed_time)
        SELECT petition_id, gen_random_uuid(), n, n, gen_random_uuid(), now()
        FROM (SELECT petition_id, row_number() OVER () AS row FROM petition.petition_submissions) p,
             generate_series(1, CASE WHEN row % 100 = 0 THEN 300 ELSE (row % 4)::integer END) n
        """
    )
    rows = value(db, "SELECT count(*) FROM petition.co_signs")
    upgrade(empty_database_url)
    assert wrong_counters(db) == 0
    assert value(db, f"SELECT sum(co_signer_count) FROM {TABLE}") == rows


class OldWriter:
    """A process of version 0002 at work: locks the petition's row, signs or withdraws, knows nothing of the counter.

    With `counting` it is the new version: it moves the counter too, as the seal does, once the column is there.
    """

    def __init__(self, url: str, stop: threading.Event) -> None:
        self._url, self._stop = url, stop
        self.written = 0

    def run(self) -> None:
        with psycopg.connect(self._url) as connection:
            petitions = [row[0] for row in connection.execute(f"SELECT petition_id FROM {TABLE}").fetchall()]
            connection.commit()
            while not self._stop.is_set():
                for petition_id in petitions:
                    self._sign(connection, petition_id)
                    self.written += 1

    def _sign(self, connection: psycopg.Connection, petition_id: object) -> None:
        with connection.transaction():
            row = connection.execute(
                f"SELECT last_ordinal FROM {TABLE} WHERE petition_id = %s FOR NO KEY UPDATE",
                [petition_id],
            ).fetchone()
            assert row is not None
            ordinal = row[0] + 1
            connection.execute(
                "INSERT INTO petition.co_signs (petition_id, user_id, ordinal, co_signer_count, request_id, signed_time) "
                "VALUES (%s, %s, %s, %s, %s, now())",
                [petition_id, uuid4(), ordinal, ordinal, uuid4()],
            )
            # Whoever sees the column keeps it, in the transaction of the row: what a rolling upgrade needs of writers.
            counted = connection.execute(
                "SELECT FROM pg_attribute WHERE attrelid = %s::regclass AND attname = 'co_signer_count'", [TABLE]
            ).fetchone()
            counter = ", co_signer_count = co_signer_count + 1" if counted is not None else ""
            connection.execute(
                f"UPDATE {TABLE} SET last_ordinal = %s, version = version + 1{counter} WHERE petition_id = %s",
                [ordinal, petition_id],
            )


def test_the_counter_is_right_when_writers_were_at_work_during_the_migration(
    empty_database_url: str, db: psycopg.Connection
) -> None:
    """G2: the back-fill takes the lock that every writer takes, and counts after it has it."""
    upgrade(empty_database_url, "0002")
    fill(db, 30, 0)
    stop = threading.Event()
    writers = [OldWriter(empty_database_url, stop) for _ in range(3)]
    with concurrent.futures.ThreadPoolExecutor() as threads:
        running = [threads.submit(writer.run) for writer in writers]
        try:
            while any(writer.written < 30 for writer in writers):
                assert not any(future.done() for future in running), [future.exception() for future in running]
                stop.wait(0.005)
            before = sum(writer.written for writer in writers)
            upgrade(empty_database_url)
            while sum(writer.written for writer in writers) < before + 60:
                assert not any(future.done() for future in running), [future.exception() for future in running]
                stop.wait(0.005)
        finally:
            stop.set()
        for future in running:
            future.result()
    assert (
        value(
            db,
            f"SELECT count(*) FROM {TABLE} p WHERE co_signer_count <> "
            "(SELECT count(*) FROM petition.co_signs c WHERE c.petition_id = p.petition_id)",
        )
        == 0
    )
    assert value(db, f"SELECT sum(co_signer_count) FROM {TABLE}") == sum(writer.written for writer in writers)


def test_migrating_again_changes_nothing(empty_database_url: str, db: psycopg.Connection) -> None:
    upgrade(empty_database_url)
    fill(db, 3, 2)
    db.execute(sql.SQL(f"UPDATE {TABLE} SET co_signer_count = 77"))
    schema = "SELECT md5(string_agg(c::text, ' ' ORDER BY c::text)) FROM information_schema.columns c"
    before = (value(db, schema), indexes(db))
    upgrade(empty_database_url)
    assert (value(db, schema), indexes(db)) == before
    assert value(db, f"SELECT min(co_signer_count) FROM {TABLE}") == 77, "the back-fill runs once"


def test_two_migrators_at_once_do_the_work_once(empty_database_url: str, db: psycopg.Connection) -> None:
    with concurrent.futures.ThreadPoolExecutor() as threads:
        for done in [threads.submit(upgrade, empty_database_url) for _ in range(3)]:
            done.result()
    assert current_revision(empty_database_url) == expected_revision()
    assert value(db, "SELECT count(*) FROM operations.schema_revision") == 1
    assert value(db, "SELECT count(*) FROM operations.halt") == 1


def test_a_migrator_gives_up_when_another_does_not_end(empty_database_url: str, db: psycopg.Connection) -> None:
    from libs.data.migrate import MIGRATOR_LOCK

    db.execute("SELECT pg_advisory_lock(%s)", [MIGRATOR_LOCK])
    with pytest.raises(TimeoutError):
        upgrade(empty_database_url, lock_wait_seconds=0.05)
    assert value(db, "SELECT to_regclass('operations.halt')::text") is None


def test_an_index_whose_build_failed_before_is_built_again(empty_database_url: str, db: psycopg.Connection) -> None:
    upgrade(empty_database_url, "0003")
    fill(db, 1, 0)
    twice = (
        "INSERT INTO petition.co_signs (petition_id, user_id, ordinal, co_signer_count, request_id, signed_time) "
        f"SELECT petition_id, gen_random_uuid(), 1, 1, gen_random_uuid(), now() FROM {TABLE}, generate_series(1, 2)"
    )
    db.execute(sql.SQL(twice))
    with pytest.raises(Exception, match="could not create unique index"):
        upgrade(empty_database_url)
    assert indexes(db)["petition.idx_co_signs_petition_id"] is False
    db.execute("DELETE FROM petition.co_signs WHERE ctid = (SELECT min(ctid) FROM petition.co_signs)")
    upgrade(empty_database_url)
    assert indexes(db)["petition.idx_co_signs_petition_id"] is True
    assert current_revision(empty_database_url) == expected_revision()


def test_a_back_fill_that_was_broken_off_is_finished_by_the_next_run(
    empty_database_url: str, db: psycopg.Connection
) -> None:
    """The migrator may be killed at any moment."""
    upgrade(empty_database_url, "0002")
    fill(db, 5, 3)
    break_off = """
        CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''cut''; END';
        CREATE TRIGGER cut BEFORE UPDATE ON petition.petition_submissions FOR EACH ROW EXECUTE FUNCTION public.refuse();
    """
    db.execute(sql.SQL(break_off))
    with pytest.raises(Exception, match="cut"):
        upgrade(empty_database_url)
    db.execute("DROP TRIGGER cut ON petition.petition_submissions")
    db.execute(sql.SQL(f"UPDATE {TABLE} SET co_signer_count = 9"))  # counted, and then old writers went on
    upgrade(empty_database_url)
    assert wrong_counters(db) == 0
    assert current_revision(empty_database_url) == expected_revision()


@pytest.mark.parametrize("n", [0, 1, 127, 128, 129, 130, 255, 256, 257, 1000, 65_535, 65_536, 2**31 - 1])
def test_a_rank_is_the_count_itself_below_128_and_keeps_the_order_above(
    empty_database_url: str, db: psycopg.Connection, n: int
) -> None:
    upgrade(empty_database_url, "0001")
    rank = value(db, "SELECT operations.rank_of(%s)", n)
    assert isinstance(rank, int)
    if n < 128:
        assert rank == n
    previous = value(db, "SELECT operations.rank_of(%s)", n - 1) if n else -1
    assert isinstance(previous, int) and 0 <= rank - previous <= 1
