"""The queue's schema is the one that the installed library expects, and nobody's but operations'."""

from pathlib import Path

import asyncpg
import psycopg
import pytest
from procrastinate.schema import SchemaManager

from libs.data.migrations.versions import v0009_jobs
from tests.stored import Connection

COLUMNS = """
SELECT table_name, column_name, udt_name, is_nullable,
       coalesce(replace(replace(column_default, 'jobs.', ''), 'expected.', ''), '')
FROM information_schema.columns WHERE table_schema = $1 ORDER BY 1, 2
"""
FUNCTIONS = """
SELECT proname, prosrc FROM pg_proc
WHERE pronamespace = to_regnamespace($1) AND proname LIKE 'procrastinate%' ORDER BY 1, 2
"""
INDEXES = """
SELECT indexname, replace(replace(indexdef, 'jobs.', ''), 'expected.', '') FROM pg_indexes
WHERE schemaname = $1 AND indexname NOT IN ('jobs_not_done', 'jobs_by_lock') ORDER BY 1
"""
TRIGGERS = """
SELECT trigger_name, event_manipulation, replace(replace(action_statement, 'jobs.', ''), 'expected.', '')
FROM information_schema.triggers WHERE trigger_schema = $1 ORDER BY 1, 2
"""
LABELS = """
SELECT typname, enumlabel FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid
WHERE typnamespace = to_regnamespace($1) ORDER BY 1, 2
"""


def test_the_newest_step_of_the_librarys_schema_was_migrated() -> None:
    newest = max(Path(SchemaManager.get_migrations_path()).glob("*.sql"))
    assert newest.name.startswith(v0009_jobs.LAST_STEP), (
        "the library's schema has gone on: a new migration takes its steps"
    )


@pytest.mark.parametrize("facts", [COLUMNS, FUNCTIONS, INDEXES, TRIGGERS, LABELS])
async def test_what_was_migrated_is_what_the_library_would_make_anew(database_url: str, facts: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as made:
        made.execute("CREATE SCHEMA expected")
        made.execute("SET search_path = expected")
        made.execute(SchemaManager.get_schema())
    db = await asyncpg.connect(database_url)
    try:
        expected = [tuple(row) for row in await db.fetch(facts, "expected")]
        assert expected
        assert [tuple(row) for row in await db.fetch(facts, "jobs")] == expected
    finally:
        await db.close()


@pytest.mark.parametrize("role", ["tally_petition", "tally_voting", "tally_claims", "tally_aggregator"])
async def test_the_queue_is_closed_to_services(db: Connection, role: str) -> None:
    await db.execute(f"SET ROLE {role}")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await db.fetch("SELECT FROM jobs.procrastinate_jobs")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await db.execute("SELECT jobs.try_again(1)")
    await db.execute("RESET ROLE")
