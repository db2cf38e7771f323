"""The schema of voting: added beside petitions and claims that are at work, and as it was asked for."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from libs.data.catalog.voting import VOTING_COUNTERS
from libs.data.migrate import current_revision, expected_revision, upgrade

BEFORE = "0006"
OTHERS = """
INSERT INTO petition.petition_submissions
    (petition_id, title, body, petition_type, submitter_id, escalation_thresholds, co_signer_count, last_ordinal)
SELECT gen_random_uuid(), 'Number ' || n, 'Body', 'local', gen_random_uuid(), '{2}', n, n FROM generate_series(0, 9) n;
INSERT INTO claims.coupons (name, amount, remaining_amount, claim_count) VALUES ('Bread', 5, 4, 1), ('Soup', 3, 3, 0);
INSERT INTO operations.events (position, kind, aggregate_id, version, payload)
SELECT row_number() OVER (), 'petition.counted', petition_id::text, 1, '{}' FROM petition.petition_submissions;
UPDATE operations.halt SET halted = true, reason = 'during the migration'
"""
AN_OPINION = """
INSERT INTO voting.conversations (conversation_id, title, description)
VALUES ('11111111-1111-4111-8111-111111111111', 'Title', '');
INSERT INTO voting.opinions (conversation_id, opinion_id, author_id, body, state, created_time)
SELECT conversation_id, gen_random_uuid(), gen_random_uuid(), 'Because.', 'accepted', now() FROM voting.conversations;
INSERT INTO voting.votes (conversation_id, user_id, opinion_id, vote, vote_time)
SELECT conversation_id, author_id, opinion_id, 1, now() FROM voting.opinions;
INSERT INTO voting.participants (conversation_id, user_id) SELECT conversation_id, user_id FROM voting.votes
"""


@pytest.fixture
def db(empty_database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def migrated(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        run(connection, AN_OPINION)
        yield connection


def run(db: psycopg.Connection, statements: str) -> None:
    for statement in statements.split(";\n"):
        db.execute(sql.SQL(statement))


def rows(db: psycopg.Connection, statement: str, *arguments: object) -> list[tuple[object, ...]]:
    return db.execute(sql.SQL(statement), arguments or None).fetchall()


def stored(db: psycopg.Connection) -> list[list[tuple[object, ...]]]:
    """Everything that was there before voting."""
    tables = ("petition.petition_submissions", "claims.coupons", "operations.events", "operations.halt")
    return [rows(db, f"SELECT r::text FROM {table} r ORDER BY 1") for table in tables]


def test_voting_comes_to_a_database_at_work_and_leaves_the_rest_alone(
    empty_database_url: str, db: psycopg.Connection
) -> None:
    """A signature and a claim in flight hold their locks, and the migration neither waits for them nor keeps them up."""
    upgrade(empty_database_url, BEFORE)
    run(db, OTHERS)
    before = stored(db)
    assert [len(table) for table in before] == [10, 2, 10, 1]
    with psycopg.connect(empty_database_url) as writer:
        writer.execute("UPDATE petition.petition_submissions SET co_signer_count = 77 WHERE title = 'Number 3'")
        writer.execute("UPDATE claims.coupons SET remaining_amount = 2, claim_count = 1 WHERE name = 'Soup'")
        upgrade(empty_database_url)
        assert current_revision(empty_database_url) == expected_revision()
        writer.execute("SELECT count(*) FROM petition.co_signs, claims.claims")
        writer.rollback()
    assert stored(db) == before
    run(db, AN_OPINION)
    again = (*stored(db), rows(db, "SELECT o::text FROM voting.opinions o"))
    upgrade(empty_database_url)
    assert (*stored(db), rows(db, "SELECT o::text FROM voting.opinions o")) == again


def test_analyses_come_to_conversations_at_work_and_again_where_they_broke_off(
    empty_database_url: str, db: psycopg.Connection
) -> None:
    """Opinions stay as they are, and what there was of statistics does."""
    upgrade(empty_database_url, "0007")
    run(db, AN_OPINION)
    run(
        db, "INSERT INTO voting.opinion_statistics SELECT conversation_id, opinion_id, '{0,1,2,3}' FROM voting.opinions"
    )
    opinions = rows(db, "SELECT o::text FROM voting.opinions o")
    upgrade(empty_database_url, "0008")
    indexes = ("voting.opinions_by_commit", "voting.opinion_statistics_by_priority")
    for index in indexes:
        run(db, f"DROP INDEX {index}")
    run(db, "UPDATE operations.schema_revision SET version_num = '0007'")
    upgrade(empty_database_url, "0008")
    assert rows(db, "SELECT o::text FROM voting.opinions o") == opinions
    assert rows(db, "SELECT group_votes, analysed_rank FROM voting.opinion_statistics") == [([0, 1, 2, 3], 0)]
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)"
    for index in indexes:
        assert rows(db, valid, index) == [(True,)]


def test_opinions_of_before_are_about_their_subject_and_their_moderation_stays(
    empty_database_url: str, db: psycopg.Connection
) -> None:
    """Those about the conversation itself are marked from now on; what no moderator can do is refused as it was."""
    upgrade(empty_database_url, "0013")
    run(db, AN_OPINION)
    moderate = (
        "INSERT INTO voting.moderation (conversation_id, moderation_id, moderation_action, moderator_id, reason) "
        "SELECT conversation_id, gen_random_uuid(), '{}', gen_random_uuid(), 'said before' FROM voting.conversations"
    )
    run(db, moderate.format("hide"))
    upgrade(empty_database_url, "0014")
    assert {*rows(db, "SELECT meta FROM voting.opinions")} == {(False,)}
    run(db, moderate.format("mark_meta"))
    with pytest.raises(psycopg.errors.CheckViolation):
        run(db, moderate.format("forget"))
    assert len(rows(db, "SELECT DISTINCT moderation_action FROM voting.moderation")) == 2


def test_moderation_is_indexed_as_it_was_asked_for(migrated: psycopg.Connection) -> None:
    """V4."""
    found = rows(migrated, "SELECT indexdef FROM pg_indexes WHERE indexname = 'moderation_by_action'")
    on = "voting.moderation USING btree (conversation_id, moderation_action)"
    assert found == [(f"CREATE INDEX moderation_by_action ON {on}",)]


def test_no_index_is_on_a_counter_and_tables_that_hold_one_leave_room(migrated: psycopg.Connection) -> None:
    """An index on a counter would cost every vote an index entry."""
    counters = "|".join({counter.column for counter in VOTING_COUNTERS})
    on_counter = f"SELECT indexname FROM pg_indexes WHERE schemaname = 'voting' AND indexdef ~ '[( ]({counters})[,) ]'"
    assert rows(migrated, on_counter) == []
    tables = sorted({counter.table or counter.aggregate.name for counter in VOTING_COUNTERS})
    full = (
        "SELECT 'voting.' || relname FROM pg_class WHERE relnamespace = 'voting'::regnamespace AND relkind = 'r' "
        "AND reloptions::text ~ 'fillfactor=70' ORDER BY 1"
    )
    assert rows(migrated, full) == [(table,) for table in tables]


def test_no_counter_is_null_or_below_zero_and_all_begin_at_zero(migrated: psycopg.Connection) -> None:
    """G2: whoever writes it."""
    for counter in VOTING_COUNTERS:
        table = counter.table or counter.aggregate.name
        assert rows(migrated, f"SELECT {counter.column} FROM {table}") == [(0,)]
        # An opinion's ranks are computed before its checks are made, and there is no logarithm of less than nothing.
        with pytest.raises((psycopg.errors.CheckViolation, psycopg.errors.InvalidArgumentForLogarithm)):
            migrated.execute(sql.SQL(f"UPDATE {table} SET {counter.column} = -1"))
        with pytest.raises(psycopg.errors.NotNullViolation):
            migrated.execute(sql.SQL(f"UPDATE {table} SET {counter.column} = NULL"))


def test_what_cannot_be_is_not_stored(migrated: psycopg.Connection) -> None:
    refused: dict[str, type[psycopg.Error]] = {
        "UPDATE voting.votes SET vote = 2": psycopg.errors.CheckViolation,
        "UPDATE voting.opinions SET state = 'gone'": psycopg.errors.CheckViolation,
        "UPDATE voting.opinions SET state = 'deleted'": psycopg.errors.CheckViolation,
        "UPDATE voting.opinions SET body = ''": psycopg.errors.CheckViolation,
        "UPDATE voting.opinions SET body = repeat('a', 1001)": psycopg.errors.CheckViolation,
        "UPDATE voting.opinions SET agree_rank = 1": psycopg.errors.GeneratedAlways,
        "UPDATE voting.conversations SET state = 'locked'": psycopg.errors.GeneratedAlways,
        "INSERT INTO voting.votes SELECT * FROM voting.votes": psycopg.errors.UniqueViolation,
    }
    for statement, error in refused.items():
        with pytest.raises(error):
            migrated.execute(sql.SQL(statement))


def test_ranks_and_states_follow_from_what_they_rank_and_when_it_was_locked(migrated: psycopg.Connection) -> None:
    ranks = "SELECT agree_rank, controversy_rank FROM voting.opinions"
    for agrees, disagrees, expected in ((3, 2, (3, 2)), (2, 127, (2, 2)), (1000, 900, (317, 304))):
        run(migrated, f"UPDATE voting.opinions SET agree_count = {agrees}, disagree_count = {disagrees}")
        assert rows(migrated, ranks) == [expected]
    for locked, state in (("now()", "locked"), ("NULL", "open")):
        run(migrated, f"UPDATE voting.conversations SET locked_time = {locked}")
        assert rows(migrated, "SELECT state FROM voting.conversations") == [(state,)]


def test_the_rank_of_a_priority_is_that_of_polis_in_steps_of_the_root_of_two(migrated: psycopg.Connection) -> None:
    """V6: `importance-metric` and `priority-metric` of Polis, for an opinion whose extremity is not known."""
    for votes in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (7, 3, 2), (50, 50, 50), (20000, 1, 5)):
        agrees, _, passes = votes
        n = sum(votes)
        importance = (1 - (passes + 1) / (n + 2)) * (agrees + 1) / (n + 2)
        priority: float = (importance * (1 + 8 * 2 ** (-n / 5))) ** 2
        ((rank,),) = rows(migrated, "SELECT voting.priority_rank(%s, %s, %s)", *votes)
        assert isinstance(rank, int)
        assert 2 ** (rank / 2) <= priority * 1.000001 and priority < 2 ** ((rank + 1) / 2) * 1.000001
